//! The workspace: where it is, a shell in it, and what cargo knows of it.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;
use xshell::{Shell, cmd};

/// The folder of the root `Cargo.toml`.
pub(crate) fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask has no parent folder")
}

/// A shell whose working directory is [`root`].
pub(crate) fn shell() -> Result<Shell> {
    let shell = Shell::new()?;
    shell.change_dir(root()?);
    Ok(shell)
}

/// Whether this runs in CI, where what is missing is installed instead of skipped.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value != "false" && !value.is_empty())
}

/// The workspace's packages as `cargo metadata` describes them, dependencies unresolved.
pub(crate) fn packages(shell: &Shell) -> Result<Vec<Value>> {
    let text = cmd!(shell, "cargo metadata --format-version 1 --no-deps")
        .quiet()
        .read()?;
    let mut metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata.get_mut("packages").map(Value::take);
    serde_json::from_value(packages.unwrap_or_default()).context("unknown form of cargo metadata")
}

/// The names of the packages that are published, each after those that it depends on.
pub(crate) fn published(packages: &[Value]) -> Vec<&str> {
    let mut left: Vec<&Value> = packages
        .iter()
        .filter(|package| package.get("publish").is_none_or(Value::is_null))
        .collect();
    let mut names: Vec<&str> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |package: &Value| {
            let dependencies = package.get("dependencies").and_then(Value::as_array);
            let mut dependencies = dependencies.into_iter().flatten();
            dependencies.any(|dependency| {
                text(dependency, "kind") != "dev"
                    && left
                        .iter()
                        .any(|other| text(other, "name") == text(dependency, "name"))
            })
        };
        let (later, next): (Vec<&Value>, Vec<&Value>) =
            left.iter().copied().partition(|package| waits(package));
        if next.is_empty() {
            // In a circle, which cargo would refuse: the rest as it stands.
            names.extend(later.iter().map(|package| text(package, "name")));
            break;
        }
        names.extend(next.iter().map(|package| text(package, "name")));
        left = later;
    }
    names
}

/// A text field of a JSON object, empty when it is not there.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn a_crate_is_published_after_what_it_needs() {
    let package = |name: &str, needs: &[(&str, &str)], publish: Value| {
        let needs: Vec<_> = needs
            .iter()
            .map(|(name, kind)| serde_json::json!({"name": name, "kind": kind}))
            .collect();
        serde_json::json!({"name": name, "dependencies": needs, "publish": publish})
    };
    let packages = [
        package("facade", &[("core", ""), ("auth", "")], Value::Null),
        package("core", &[("auth", ""), ("facade", "dev")], Value::Null),
        package("auth", &[], Value::Null),
        package("tests", &[], serde_json::json!([])),
    ];
    assert_eq!(published(&packages), ["auth", "core", "facade"]);
}
