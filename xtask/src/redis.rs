//! The Redis or Valkey that tests start: a program of the system, not of any lock file.

use anyhow::{Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::servers::numbers;

/// What the tests run, in the order in which they look for it.
const PROGRAMS: [&str; 2] = ["valkey-server", "redis-server"];
const OLDEST: (u32, u32) = (6, 2);
const ADVICE: &str = "the tests of shared stores need Redis 6.2 or Valkey on the PATH; Debian has it in redis-server";

/// Sees to it that there is one: installs Debian's where that is possible.
pub(crate) fn install(shell: &Shell) -> Result<()> {
    if version(shell).is_none() {
        apt(shell)?;
    }
    let found = version(shell).unwrap_or_default();
    ensure!(numbers(&found) >= OLDEST, "{ADVICE}; found {found:?}");
    Ok(())
}

/// The version of the first of the programs that there is.
fn version(shell: &Shell) -> Option<String> {
    PROGRAMS.iter().find_map(|program| {
        let text = cmd!(shell, "{program} --version")
            .quiet()
            .ignore_stderr()
            .read();
        // `Redis server v=7.0.15 sha=…`
        Some(text.ok()?.split_once("v=")?.1.to_owned())
    })
}

fn apt(shell: &Shell) -> Result<()> {
    let apt = cmd!(shell, "apt-get --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr();
    if !is_root() || apt.run().is_err() {
        bail!("{ADVICE}");
    }
    println!("installing redis-server");
    let _noninteractive = shell.push_env("DEBIAN_FRONTEND", "noninteractive");
    // The package would start a server of its own; nobody here wants that one.
    let _runlevel = shell.push_env("RUNLEVEL", "1");
    let install = || {
        cmd!(
            shell,
            "apt-get install --yes --quiet --no-install-recommends redis-server"
        )
        .quiet()
        .ignore_stdout()
        .run()
    };
    if install().is_err() {
        // A machine without package lists.
        cmd!(shell, "apt-get update --quiet")
            .ignore_stdout()
            .run()?;
        install()?;
    }
    Ok(())
}

fn is_root() -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    return false;
}
