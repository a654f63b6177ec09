//! cargo-deny: licenses, sources and banned crates, by `deny.toml`.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::tools;

pub(super) fn check(shell: &Shell) -> Result<()> {
    if !tools::DENY.bring_in_ci(shell)? {
        println!(
            "cargo-deny is missing: licenses, sources and bans are left to CI ({})",
            tools::DENY.advice()
        );
        return Ok(());
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
