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

/// A text field of a JSON object, empty when it is not there.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
