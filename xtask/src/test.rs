//! `cargo xtask test`: every test, and nothing left behind.

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use crate::{leftovers, servers, workspace};

/// The tests that start real servers, as `.config/nextest.toml` names them too.
const REAL: &str = "binary(/^real/) | test(/(^|::)real(_|::)/)";
const GET_NEXTEST: &str = "`cargo install cargo-nextest --locked` brings it";

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let (flags, chosen) = match args.iter().position(|arg| *arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[][..]),
    };
    let with_servers = !flags.contains(&"--no-servers");
    if with_servers {
        servers::install()?;
    }

    let shell = workspace::shell()?;
    leftovers::adopt_orphans()?;
    // Both, so that a test that fails does not hide what it left behind.
    let tests = run_tests(&shell, with_servers, chosen);
    let left = leftovers::check();
    match (tests, left) {
        (Err(tests), Err(left)) => Err(tests.context(left)),
        (tests, left) => tests.and(left),
    }
}

fn run_tests(shell: &Shell, with_servers: bool, chosen: &[&str]) -> Result<()> {
    if !has_nextest(shell) {
        ensure!(
            with_servers,
            "`--no-servers` needs cargo-nextest: {GET_NEXTEST}"
        );
        println!("cargo-nextest is missing: using `cargo test`, which gives no test a deadline");
        println!("({GET_NEXTEST})");
        cmd!(shell, "cargo test --no-fail-fast {chosen...}").run()?;
        return Ok(());
    }
    // nextest does not run doctests. They come first so that its summary stands last.
    let doctests = match chosen {
        [] => cmd!(shell, "cargo test --quiet --doc").run(),
        _ => Ok(()),
    };
    let filter = if with_servers {
        Vec::new()
    } else {
        without_servers()
    };
    let tests = cmd!(shell, "cargo nextest run {filter...} {chosen...}").run();
    Ok(tests.and(doctests)?)
}

/// What tells nextest to leave out the tests that need real servers.
pub(crate) fn without_servers() -> Vec<String> {
    vec!["-E".to_owned(), format!("not ({REAL})")]
}

fn has_nextest(shell: &Shell) -> bool {
    let version = cmd!(shell, "cargo nextest --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr();
    version.run().is_ok()
}
