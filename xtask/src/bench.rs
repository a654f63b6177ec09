//! `cargo xtask bench`: what a call costs, beside a bare client and other libraries.

mod build;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{scale, servers, workspace};

/// The page that shows the last full run, and its picture.
const PAGE: &str = "docs/performance.md";
const PICTURE: &str = "docs/performance.svg";

const OUT: &str = "target/bench";

/// What else there is to measure, by its place in the report.
const OTHERS: [(&str, &str); 2] = [
    ("build", "target/bench/build.json"),
    ("scale", "target/scale/report.json"),
];

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let shell = workspace::shell()?;
    if args.contains(&"--build") {
        return built(&shell);
    }
    let is_all = args.contains(&"--all");
    let args: Vec<&str> = args.iter().copied().filter(|it| *it != "--all").collect();
    if is_all {
        built(&shell)?;
    }
    let ran = calls(&shell, &args);
    let scaled = if is_all { scale::run(&args) } else { Ok(()) };
    // What is known of the rest belongs to the report, also of a run that broke a bound.
    let merged = merge();
    ran.context("see above").and(scaled).and(merged)
}

fn built(shell: &Shell) -> Result<()> {
    let built = build::measured(shell)?;
    build::show(&built, &workspace::root()?.join(PAGE))?;
    keep("build.json", &built)
}

/// Runs every contender.
fn calls(shell: &Shell, args: &[&str]) -> Result<()> {
    // The contenders in other languages come with the servers that tests talk to.
    if let Err(error) = servers::install() {
        eprintln!("Python and TypeScript may be left out: {error:#}");
    }
    let program = program(shell)?;
    cmd!(shell, "cargo build --quiet --release --package mcpt").run()?;
    let counting = counting(shell)?;
    // A quick run is too rough to be shown.
    let shown: &[&str] = if args.contains(&"--quick") {
        &[]
    } else {
        &["--page", PAGE, "--picture", PICTURE]
    };
    cmd!(
        shell,
        "{program} run --out {OUT} --counting {counting} {shown...} {args...}"
    )
    .run()?;
    Ok(())
}

/// Puts what other commands measured last into the report.
fn merge() -> Result<()> {
    let root = workspace::root()?;
    let report = root.join(OUT).join("report.json");
    let mut whole: Value = serde_json::from_slice(&fs::read(report)?)?;
    if let Some(whole) = whole.as_object_mut() {
        for (place, path) in OTHERS {
            if let Ok(other) = fs::read(root.join(path)) {
                whole.insert(place.to_owned(), serde_json::from_slice(&other)?);
            }
        }
    }
    keep("report.json", &whole)
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
