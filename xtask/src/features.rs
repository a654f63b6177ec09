//! `cargo xtask features`: the published crates build with every set of features.

use anyhow::{Result, bail};
use xshell::cmd;

use crate::{tools, workspace};

/// A pair of features can fail together; three that fail where no two do are rare.
const DEPTH: &str = "2";

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let shell = workspace::shell()?;
    tools::HACK.bring(&shell)?;
    let sets: Vec<&str> = match args {
        ["--each"] => vec!["--each-feature"],
        ["--depth", depth] => vec!["--feature-powerset", "--depth", depth],
        [] => vec!["--feature-powerset", "--depth", DEPTH],
        _ => bail!("`--each` and `--depth` do not go together"),
    };
    let packages = workspace::packages(&shell)?;
    let packages = workspace::published(&packages);
    let packages = packages.iter().flat_map(|name| ["--package", name]);
    cmd!(shell, "cargo hack check --quiet {sets...} {packages...}").run()?;
    Ok(())
}
