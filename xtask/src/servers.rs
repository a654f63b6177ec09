//! `cargo xtask servers`: what the tests talk to. Real MCP servers, pinned by the lock files in
//! `xtask/servers`, installed below `target/servers`; and the system's Redis.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::{redis, workspace};

const NODE: u32 = 20;
const PYTHON: (u32, u32) = (3, 11);

const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };
const VENV_PYTHON: &str = if cfg!(windows) {
    "python/Scripts/python.exe"
} else {
    "python/bin/python"
};

/// Installs what is not there yet or is there in other versions; quick when all is.
pub(crate) fn install() -> Result<()> {
    let root = workspace::root()?;
    let locks = root.join("xtask/servers");
    let target = root.join("target/servers");
    fs::create_dir_all(&target)?;
    let _one_at_a_time = lock(&target)?;

    let shell = workspace::shell()?;
    redis::install(&shell)?;
    let node = node(&shell)?;
    let python = python(&shell)?;

    let files = ["package.json", "package-lock.json"];
    let stamp = stamp(&locks, &files, &node)?;
    once(&target.join("npm.stamp"), &stamp, || {
        npm(&shell, &locks, &target.join("npm"), &files)
    })?;

    let stamp = self::stamp(&locks, &["requirements.txt"], &python.version)?;
    once(&target.join("python.stamp"), &stamp, || {
        pip(&shell, &python, &locks, &target)
    })
}

fn npm(shell: &Shell, locks: &Path, into: &Path, files: &[&str]) -> Result<()> {
    println!("installing the npm servers");
    fs::create_dir_all(into)?;
    for file in files {
        fs::copy(locks.join(file), into.join(file))?;
    }
    let _back = shell.push_dir(into);
    cmd!(
        shell,
        "{NPM} ci --silent --omit=dev --no-audit --no-fund --ignore-scripts"
    )
    .run()
    .context("npm could not install the servers; is its registry reachable?")
}

fn pip(shell: &Shell, python: &Python, locks: &Path, target: &Path) -> Result<()> {
    println!("installing the Python servers");
    let program = &python.program;
    let venv = target.join("python");
    cmd!(shell, "{program} -m venv --clear {venv}")
        .run()
        .with_context(|| {
            format!("{program} could not make a virtual environment; Debian has it in python3-venv")
        })?;
    let pip = target.join(VENV_PYTHON);
    let requirements = locks.join("requirements.txt");
    cmd!(
        shell,
        "{pip} -m pip install --quiet --disable-pip-version-check --no-input"
    )
    .args([
        "--require-hashes".as_ref(),
        "--requirement".as_ref(),
        requirements.as_os_str(),
    ])
    .run()
    .context("pip could not install the servers; is its index reachable?")
}

/// Runs `install` unless the stamp says that it has run with the same input.
fn once(stamp: &Path, input: &str, install: impl FnOnce() -> Result<()>) -> Result<()> {
    if fs::read_to_string(stamp).is_ok_and(|done| done == input) {
        return Ok(());
    }
    if stamp.exists() {
        fs::remove_file(stamp)?;
    }
    install()?;
    fs::write(stamp, input)?;
    Ok(())
}

/// All that an installation depends on.
fn stamp(locks: &Path, files: &[&str], tool: &str) -> Result<String> {
    let mut stamp = format!("{tool}\n");
    for file in files {
        let path = locks.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        writeln!(stamp, "{file}\n{text}")?;
    }
    Ok(stamp)
}

fn node(shell: &Shell) -> Result<String> {
    let advice = format!("the real-server tests need Node {NODE} or newer, with npm, on the PATH");
    let version = cmd!(shell, "node --version")
        .quiet()
        .read()
        .context(advice.clone())?;
    let (major, _) = numbers(&version);
    ensure!(major >= NODE, "{advice}; this is {version}");
    cmd!(shell, "{NPM} --version")
        .quiet()
        .read()
        .context(advice)?;
    Ok(version)
}

struct Python {
    program: &'static str,
    version: String,
}

/// The first Python on the PATH that is new enough.
fn python(shell: &Shell) -> Result<Python> {
    let mut seen = Vec::new();
    for program in [
        "python3",
        "python",
        "python3.14",
        "python3.13",
        "python3.12",
        "python3.11",
    ] {
        let version = cmd!(shell, "{program} --version")
            .quiet()
            .ignore_stderr()
            .read();
        let Ok(version) = version else { continue };
        if numbers(&version) >= PYTHON {
            return Ok(Python { program, version });
        }
        seen.push(version);
    }
    bail!(
        "the real-server tests need Python {}.{} or newer on the PATH; found {}",
        PYTHON.0,
        PYTHON.1,
        if seen.is_empty() {
            "none".to_owned()
        } else {
            seen.join(", ")
        }
    )
}

/// Major and minor of `v20.1.2` or `Python 3.11.7`.
pub(crate) fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version
        .trim_start_matches(|c: char| !c.is_ascii_digit())
        .split('.')
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Held while installing, so that two runs do not mix their files.
fn lock(target: &Path) -> Result<fs::File> {
    let file = fs::File::create(target.join("lock"))?;
    #[cfg(unix)]
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(file)
}

#[test]
fn versions_are_compared_as_numbers() {
    assert_eq!(numbers("v20.9.1"), (20, 9));
    assert!(numbers("Python 3.9.2") < PYTHON);
    assert!(numbers("Python 3.13.0rc1") >= PYTHON);
    assert_eq!(numbers("what"), (0, 0));
}
