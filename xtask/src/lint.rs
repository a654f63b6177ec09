//! rustfmt and clippy, as CI wants them.

use anyhow::Result;
use xshell::cmd;

use crate::workspace;

pub(crate) fn fmt() -> Result<()> {
    let shell = workspace::shell()?;
    cmd!(shell, "cargo fmt --all --check").run()?;
    Ok(())
}

pub(crate) fn clippy() -> Result<()> {
    let shell = workspace::shell()?;
    cmd!(
        shell,
        "cargo clippy --quiet --workspace --all-targets -- -D warnings"
    )
    .run()?;
    Ok(())
}
