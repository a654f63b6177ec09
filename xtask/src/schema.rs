//! `cargo xtask schema`: the JSON Schema of the configuration file, as it is checked in.

use std::fs;

use anyhow::{Result, ensure};
use xshell::cmd;

use crate::workspace;

const FILE: &str = "crates/mcp-toolkit/schema/mcp-config.schema.json";

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let shell = workspace::shell()?;
    // From the root, as tests are built: another choice of packages would be another build.
    let made = cmd!(
        shell,
        "cargo run --quiet --example config_schema --features mcp-toolkit/schema"
    )
    .quiet()
    .read()?;
    let made = format!("{made}\n");
    let path = workspace::root()?.join(FILE);
    let there = fs::read_to_string(&path).unwrap_or_default();
    if args.contains(&"--check") {
        ensure!(
            there == made,
            "{FILE} is not what the reader of the file accepts; `cargo xtask schema` writes it"
        );
        println!("{FILE} is up to date");
        return Ok(());
    }
    if there != made {
        fs::write(&path, made)?;
        println!("{FILE} was written");
    }
    Ok(())
}
