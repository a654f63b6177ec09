//! cargo-deny: licenses, sources and banned crates, by `deny.toml`.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::workspace;

/// Two minutes to build on two cores, so only CI installs it unasked.
const VERSION: &str = "0.20.2";

pub(super) fn check(shell: &Shell) -> Result<()> {
    let version = cmd!(shell, "cargo deny --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr();
    if version.run().is_err() {
        if !workspace::in_ci() {
            println!(
                "cargo-deny is missing: licenses, sources and bans are left to CI \
                 (`cargo install cargo-deny --version {VERSION} --locked` brings it)"
            );
            return Ok(());
        }
        cmd!(
            shell,
            "cargo install --quiet cargo-deny --version {VERSION} --locked"
        )
        .run()?;
    }
    // Advisories need a database from outside; they are checked where there is one.
    cmd!(
        shell,
        "cargo deny --all-features check --hide-inclusion-graph"
    )
    .args(["bans", "licenses", "sources"])
    .run()?;
    Ok(())
}
