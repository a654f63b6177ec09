//! `cargo xtask replicas`: processes that share logins through Redis, killed and cut off.

use anyhow::Result;
use xshell::cmd;

use crate::{scale, workspace};

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let shell = workspace::shell()?;
    let program = scale::build(&shell)?;
    cmd!(shell, "{program} replicas --out target/replicas {args...}").run()?;
    Ok(())
}
