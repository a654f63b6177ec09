//! `cargo xtask bench`: what a call costs, beside a bare client and other libraries.

mod build;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{servers, workspace};

/// The page that shows the last full run, and its picture.
const PAGE: &str = "docs/performance.md";
const PICTURE: &str = "docs/performance.svg";

const OUT: &str = "target/bench";

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let shell = workspace::shell()?;
    if args.contains(&"--build") {
        let built = build::measured(&shell)?;
        build::show(&built, &workspace::root()?.join(PAGE))?;
        return keep("build.json", &built);
    }
    // The contenders in other languages come with the servers that tests talk to.
    if let Err(error) = servers::install() {
        eprintln!("Python and TypeScript may be left out: {error:#}");
    }
    let program = program(&shell)?;
    cmd!(shell, "cargo build --quiet --release --package mcpt").run()?;
    let counting = counting(&shell)?;
    // A quick run is too rough to be shown.
    let shown: &[&str] = if args.contains(&"--quick") {
        &[]
    } else {
        &["--page", PAGE, "--picture", PICTURE]
    };
    let ran = cmd!(
        shell,
        "{program} run --out {OUT} --counting {counting} {shown...} {args...}"
    )
    .run();
    // What is known of the build belongs to the report, also of a run that broke a bound.
    if let Ok(built) = fs::read(workspace::root()?.join(OUT).join("build.json")) {
        let report = workspace::root()?.join(OUT).join("report.json");
        let mut whole: Value = serde_json::from_slice(&fs::read(report)?)?;
        if let Some(whole) = whole.as_object_mut() {
            whole.insert("build".to_owned(), serde_json::from_slice(&built)?);
        }
        keep("report.json", &whole)?;
    }
    ran.context("see above")
}

/// Builds the benchmark with symbols, so that the same program can be profiled.
pub(crate) fn program(shell: &Shell) -> Result<PathBuf> {
    cmd!(
        shell,
        "cargo build --quiet --profile bench --package mcp-bench --bin mcp-bench"
    )
    .run()?;
    Ok(workspace::root()?.join("target/release/mcp-bench"))
}

/// The same, counting allocations, which takes time.
fn counting(shell: &Shell) -> Result<PathBuf> {
    cmd!(
        shell,
        "cargo build --quiet --profile bench --package mcp-bench --bin mcp-bench-count --features count"
    )
    .run()?;
    Ok(workspace::root()?.join("target/release/mcp-bench-count"))
}

fn keep(name: &str, what: &Value) -> Result<()> {
    let folder = workspace::root()?.join(OUT);
    fs::create_dir_all(&folder)?;
    let text = serde_json::to_string_pretty(what)? + "\n";
    fs::write(folder.join(name), text).with_context(|| format!("{OUT}/{name}"))
}
