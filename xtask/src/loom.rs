//! `cargo xtask loom`: what threads can do to each other, all of it, in a model.

use anyhow::Result;
use xshell::cmd;

use crate::workspace;

pub(crate) fn run() -> Result<()> {
    let shell = workspace::shell()?;
    // In a folder of its own: other flags build everything anew.
    cmd!(
        shell,
        "cargo test --quiet --package mcp-auth --lib --release model"
    )
    .env("RUSTFLAGS", "--cfg loom")
    .env("CARGO_TARGET_DIR", "target/loom")
    .run()?;
    Ok(())
}
