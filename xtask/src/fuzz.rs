//! `cargo xtask fuzz`: damaged inputs against what reads a peer's bytes, for as long as is asked.

use anyhow::{Context as _, Result, bail};
use xshell::cmd;

use crate::workspace;

/// How long each target runs by default.
const SECONDS: u64 = 60;

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let (mut seconds, mut seed) = (SECONDS, std::process::id().into());
    let mut args = args.iter();
    while let Some(flag) = args.next() {
        let number: &mut u64 = match *flag {
            "--seconds" => &mut seconds,
            "--seed" => &mut seed,
            other => bail!("`cargo xtask fuzz` does not know {other}"),
        };
        let given = args
            .next()
            .with_context(|| format!("{flag} wants a number"))?;
        *number = given
            .parse()
            .with_context(|| format!("{flag} wants a number"))?;
    }
    let (seconds, seed) = (seconds.to_string(), seed.to_string());
    println!("each target for {seconds} s, seed {seed}; `--seed {seed}` does it again");
    let shell = workspace::shell()?;
    let tests = ["--test", "fuzz", "--", "--nocapture"];
    cmd!(shell, "cargo test --quiet --package mcp-testbed {tests...}")
        .env("MCP_FUZZ_SECONDS", seconds)
        .env("MCP_FUZZ_SEED", seed)
        .run()
        .context("an input broke something; it is shown above")
}
