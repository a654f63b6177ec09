//! `cargo xtask package`: what would be published.

use std::path::PathBuf;
use std::{env, fs};

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
    // Only what is built is unpacked.
    if !args.contains(&"--no-verify") {
        forget_unpacked(&packages);
    }
    let packages = packages.iter().flat_map(|name| ["--package", name]);
    // What was built of earlier packages of the same version would stand in, too.
    let folder = workspace::root()?.join("target/packaged");
    drop(fs::remove_dir_all(&folder));
    let outcome = cmd!(
        shell,
        "cargo package --quiet --target-dir {folder} {packages...} {args...}"
    )
    .run();
    drop(fs::remove_dir_all(&folder));
    Ok(outcome?)
}

/// Cargo keeps what it unpacked by name and version: without this, packages of the same version that
/// were made earlier would stand in for those that are made now.
fn forget_unpacked(packages: &[&str]) {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let unpacked = home.and_then(|home| fs::read_dir(home.join("registry/src")).ok());
    for registry in unpacked.into_iter().flatten().flatten() {
        // Those of registries in a folder have no name before the dash.
        if registry.file_name().to_string_lossy().starts_with('-') {
            for package in packages {
                let version = env!("CARGO_PKG_VERSION");
                let folder = registry.path().join(format!("{package}-{version}"));
                drop(fs::remove_dir_all(folder));
            }
        }
    }
}
