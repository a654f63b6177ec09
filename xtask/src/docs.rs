//! The documentation, where a broken link is an error.

use anyhow::Result;
use xshell::cmd;

use crate::workspace;

pub(crate) fn run() -> Result<()> {
    let shell = workspace::shell()?;
    cmd!(shell, "cargo doc --quiet --workspace --no-deps")
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    Ok(())
}
