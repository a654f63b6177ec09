//! Dependencies that say that they need a newer Rust than the workspace promises.

use anyhow::{Context as _, Result};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::workspace::text;

pub(super) fn faults(shell: &Shell, packages: &[Value]) -> Result<Vec<String>> {
    let promised = packages
        .iter()
        .find_map(|package| version(text(package, "rust_version")))
        .context("no crate promises a version of Rust")?;
    let metadata = cmd!(shell, "cargo metadata --format-version 1 --locked")
        .quiet()
        .read()?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let all = metadata.get("packages").and_then(Value::as_array);
    let all = all.context("unknown form of cargo metadata")?;
    Ok(too_new(all, promised))
}

fn too_new(packages: &[Value], promised: (u32, u32)) -> Vec<String> {
    packages
        .iter()
        .filter(|package| {
            version(text(package, "rust_version")).is_some_and(|needed| needed > promised)
        })
        .map(|package| {
            format!(
                "{} {} needs Rust {}: newer than what is promised",
                text(package, "name"),
                text(package, "version"),
                text(package, "rust_version"),
            )
        })
        .collect()
}

/// Major and minor version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[test]
fn only_what_is_newer_is_a_fault() {
    let package = |name: &str, rust: Value| serde_json::json!({"name": name, "version": "1.0.0", "rust_version": rust});
    let packages = [
        package("silent", Value::Null),
        package("old", "1.63".into()),
        package("same", "1.88.0".into()),
        package("new", "1.89".into()),
        package("later", "2.0".into()),
    ];
    let faults = too_new(&packages, (1, 88));
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(
        faults
            .iter()
            .all(|fault| fault.starts_with("new ") || fault.starts_with("later "))
    );
}
