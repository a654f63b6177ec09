//! Where `cargo xtask servers` has put the servers.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The npm package's program; `package` has the scope.
pub(crate) fn npm_entry(package: &str) -> Result<String> {
    text(installed(&[
        "npm",
        "node_modules",
        package,
        "dist",
        "index.js",
    ])?)
}

/// A file of an npm package.
pub(crate) fn npm_file(package: &str, path: &[&str]) -> Result<String> {
    let parts: Vec<_> = [&["npm", "node_modules", package], path].concat();
    text(installed(&parts)?)
}

/// The interpreter that has fastmcp. With `-B` it leaves nothing beside the scripts that it reads.
pub(crate) fn python() -> Result<String> {
    let parts: [&str; 3] = if cfg!(windows) {
        ["python", "Scripts", "python.exe"]
    } else {
        ["python", "bin", "python"]
    };
    text(installed(&parts)?)
}

/// A file of this package's `servers` folder.
pub(crate) fn script(name: &str) -> Result<String> {
    text(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("servers")
            .join(name),
    )
}

fn installed(parts: &[&str]) -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the workspace has no folder")?;
    let path = parts
        .iter()
        .fold(workspace.join("target/servers"), |path, part| {
            path.join(part)
        });
    ensure!(
        path.exists(),
        "this test needs real MCP servers: run `cargo xtask servers` first ({} is missing)",
        path.display()
    );
    Ok(path)
}

fn text(path: PathBuf) -> Result<String> {
    path.into_os_string()
        .into_string()
        .ok()
        .context("the workspace's path is not UTF-8")
}
