//! `cargo xtask soak`: random users against servers that fail, for as long as is asked.

use anyhow::Result;
use xshell::cmd;

use crate::{scale, workspace};

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let shell = workspace::shell()?;
    let program = scale::build(&shell)?;
    // Memory that each thread keeps for itself would look like growth.
    let _few = shell.push_env("MALLOC_ARENA_MAX", "2");
    cmd!(shell, "{program} soak {args...}").run()?;
    Ok(())
}
