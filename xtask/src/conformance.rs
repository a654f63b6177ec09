//! `cargo xtask conformance`: the official suite, judged strictly, against a client of this library.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use xshell::cmd;

use crate::steps::Skipped;
use crate::workspace;

/// Names the script that runs the suite, where it is not beside the project.
const RUNNER: &str = "MCP_CONFORMANCE_RUNNER";
const BESIDE: &str = "../shared/conformance/run-matrix.py";

/// Every scenario, or those that the script's own arguments choose.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let Some(runner) = runner()? else {
        bail!("the suite's runner is not at {BESIDE}; name it in {RUNNER}");
    };
    let shell = workspace::shell()?;
    cmd!(shell, "cargo build --quiet --package conformance-client").run()?;
    let client = workspace::root()?.join("target/debug/conformance-client");
    let report = workspace::root()?.join("target/conformance.json");
    // Two at a time is what the suite's deadlines are made for.
    cmd!(
        shell,
        "python3 {runner} --client {client} --json {report} {args...}"
    )
    .run()
    .context("a scenario does not pass; target/conformance.json has every request")
}

/// What CI holds to: every scenario. Where the runner is not there, says so.
pub(crate) fn check() -> Result<()> {
    if runner()?.is_none() {
        let reason = format!("the suite's runner is not at {BESIDE} nor named in {RUNNER}");
        return Err(Skipped(reason).into());
    }
    run(&[])
}

fn runner() -> Result<Option<PathBuf>> {
    if let Some(named) = std::env::var_os(RUNNER) {
        return Ok(Some(PathBuf::from(named)));
    }
    let beside = workspace::root()?.join(BESIDE);
    Ok(beside.exists().then_some(beside))
}
