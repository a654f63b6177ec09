//! `cargo xtask bench`: what a call costs, beside a bare client and other libraries.

use anyhow::{Result, bail};
use xshell::cmd;

use crate::workspace;

/// The page that shows the last full run.
const PAGE: &str = "docs/performance.md";

pub(crate) fn run(args: &[&str]) -> Result<()> {
    if let Some(other) = args
        .iter()
        .find(|arg| !["--check", "--quick"].contains(*arg))
    {
        bail!("`cargo xtask bench` does not know {other}; it knows --check and --quick");
    }
    let shell = workspace::shell()?;
    // Optimised as a release is, with its symbols, so that the same program can be profiled.
    cmd!(
        shell,
        "cargo build --quiet --profile bench --package mcp-bench"
    )
    .run()?;
    let program = workspace::root()?.join("target/release/mcp-bench");
    // A quick run is too rough to be shown.
    let page: &[&str] = if args.contains(&"--quick") {
        &[]
    } else {
        &["--page", PAGE]
    };
    cmd!(
        shell,
        "{program} run --out target/bench {page...} {args...}"
    )
    .run()?;
    Ok(())
}
