//! `cargo xtask msrv`: the oldest Rust that the manifests promise.

use anyhow::{Context as _, Result};
use xshell::cmd;

use crate::steps::Skipped;
use crate::workspace;

pub(crate) fn run() -> Result<()> {
    let shell = workspace::shell()?;
    let packages = workspace::packages(&shell)?;
    let promised = packages
        .iter()
        .map(|package| workspace::text(package, "rust_version"))
        .find(|version| !version.is_empty())
        .context("no crate promises a version of Rust")?;
    let toolchain = format!("+{promised}");
    let there = cmd!(shell, "cargo {toolchain} --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr();
    // What rustup does for a toolchain that is missing is to fetch it: only one that is there counts.
    if there.env("RUSTUP_AUTO_INSTALL", "0").run().is_err() {
        return Err(Skipped(format!(
            "Rust {promised} is not installed (`rustup toolchain install {promised}`); clippy's \
             lint `incompatible_msrv` holds what it can"
        ))
        .into());
    }
    cmd!(shell, "cargo {toolchain} check --workspace --locked")
        .env("CARGO_TARGET_DIR", "target/msrv")
        .run()?;
    Ok(())
}
