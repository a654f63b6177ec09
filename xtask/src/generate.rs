//! `cargo xtask generate`: Rust types out of a saved catalog of tools.

use anyhow::Result;
use xshell::cmd;

use crate::workspace;

/// The program is a crate of its own, so that this one stays quick to build.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let shell = workspace::shell()?;
    cmd!(
        shell,
        "cargo run --quiet --package mcp-codegen -- {args...}"
    )
    .quiet()
    .run()?;
    Ok(())
}
