//! `cargo xtask package`: what would be published.

use anyhow::Result;
use xshell::cmd;

use crate::workspace;

/// Cargo packages crates that depend on each other together, in their order, and builds each
/// against the packages of the others.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let shell = workspace::shell()?;
    let packages = workspace::packages(&shell)?;
    let packages = workspace::published(&packages);
    println!("{}", packages.join(", "));
    let packages = packages.iter().flat_map(|name| ["--package", name]);
    cmd!(shell, "cargo package --quiet {packages...} {args...}").run()?;
    Ok(())
}
