//! `cargo xtask scale`: what many users cost at once.

use anyhow::Result;
use xshell::cmd;

use crate::workspace;

/// The page that shows the last full run.
const PAGE: &str = "docs/scale.md";

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let shell = workspace::shell()?;
    let program = build(&shell)?;
    // A quick run is too rough to be shown.
    let page: &[&str] = if args.contains(&"--quick") {
        &[]
    } else {
        &["--page", PAGE]
    };
    cmd!(
        shell,
        "{program} scale --out target/scale {page...} {args...}"
    )
    .run()?;
    Ok(())
}

/// The program that both `scale` and `soak` run, optimised as a release is.
pub(crate) fn build(shell: &xshell::Shell) -> Result<std::path::PathBuf> {
    cmd!(
        shell,
        "cargo build --quiet --profile bench --package mcp-load"
    )
    .run()?;
    let program = format!("target/release/mcp-load{}", std::env::consts::EXE_SUFFIX);
    Ok(workspace::root()?.join(program))
}
