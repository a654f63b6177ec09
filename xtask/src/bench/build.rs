//! What each crate costs to build: how many others it needs, how long it takes, alone and with them.
//!
//! Everything is built once from nothing, in a folder of its own; cargo's own timings say how long
//! each unit took.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use xshell::{Shell, cmd};

use crate::workspace;

/// Where it is built, and removed again.
const FOLDER: &str = "target/bench/from-nothing";

/// Builds every published crate from nothing.
pub(crate) fn measured(shell: &Shell) -> Result<Value> {
    let packages = workspace::packages(shell)?;
    let names = workspace::published(&packages);
    let chosen = names.iter().flat_map(|name| ["--package", name]);
    let folder = workspace::root()?.join(FOLDER);
    drop(fs::remove_dir_all(&folder));
    let built = cmd!(shell, "cargo build --quiet --timings --target-dir {folder}")
        .args(chosen)
        .run();
    let page = fs::read_to_string(folder.join("cargo-timings/cargo-timing.html"));
    drop(fs::remove_dir_all(&folder));
    built?;
    let took = seconds(&page.context("cargo wrote no timings")?)?;
    let crates: Result<Vec<Value>> = names.iter().map(|name| one(shell, name, &took)).collect();
    Ok(json!({ "cores": cores(), "crates": crates? }))
}

fn one(shell: &Shell, name: &str, took: &BTreeMap<String, f64>) -> Result<Value> {
    let tree = cmd!(
        shell,
        "cargo tree --package {name} --edges normal,build --prefix none"
    )
    .quiet()
    .read()?;
    // `name v1.2.3 (and where from)`, many of them more than once.
    let units: BTreeMap<String, f64> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let unit = format!("{} {}", words.next()?, words.next()?);
            let took = took.get(&unit).copied().unwrap_or_default();
            Some((unit, took))
        })
        .collect();
    let own = units
        .iter()
        .find(|(unit, _)| unit.split(' ').next() == Some(name));
    Ok(json!({
        "crate": name,
        "dependencies": units.len().saturating_sub(1),
        "seconds": own.map(|(_, took)| *took),
        "seconds_with_dependencies": units.values().sum::<f64>(),
    }))
}

/// Seconds of each package, all its units together, from the data of cargo's page.
fn seconds(page: &str) -> Result<BTreeMap<String, f64>> {
    let (_, data) = page
        .split_once("const UNIT_DATA = ")
        .context("the timings have another form")?;
    let mut data = serde_json::Deserializer::from_str(data).into_iter::<Vec<Value>>();
    let units = data.next().context("the timings are empty")??;
    let mut took = BTreeMap::new();
    for unit in units {
        let (name, version) = (
            workspace::text(&unit, "name"),
            workspace::text(&unit, "version"),
        );
        let seconds = unit.get("duration").and_then(Value::as_f64);
        *took.entry(format!("{name} v{version}")).or_default() += seconds.unwrap_or_default();
    }
    Ok(took)
}

/// Prints the table, and puts it on the page.
pub(crate) fn show(built: &Value, page: &Path) -> Result<()> {
    let table = table(built);
    println!("{table}");
    mcp_harness::report::replace(page, "built", &table)
}

fn table(built: &Value) -> String {
    let mut table = format!(
        "A debug build from nothing, on {} cores. Seconds are of one core, as cargo times its units.\n\n\
         | crate | dependencies | s alone | s with all it needs |\n|---|---|---|---|\n",
        built
            .get("cores")
            .and_then(Value::as_u64)
            .unwrap_or_default()
    );
    let crates = built.get("crates").and_then(Value::as_array);
    for it in crates.into_iter().flatten() {
        let number = |field| it.get(field).and_then(Value::as_f64).unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "| {} | {} | {:.1} | {:.0} |",
            workspace::text(it, "crate"),
            number("dependencies"),
            number("seconds"),
            number("seconds_with_dependencies"),
        );
    }
    table
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn units_of_a_package_are_added() {
    let page = r#"<script>const UNIT_DATA = [
        {"name":"a","version":"1.0.0","mode":"todo","duration":1.5},
        {"name":"a","version":"1.0.0","mode":"run-custom-build","duration":0.25}];
        const CONCURRENCY_DATA = [];"#;
    let took = seconds(page).unwrap();
    assert!((took["a v1.0.0"] - 1.75).abs() < 1e-9, "{took:?}");
}
