//! `cargo xtask …`: everything that CI and a contributor run.
//!
//! `commands` is the table of commands; each has a module of its own. `steps` runs what they do and
//! says how it went, `tools` brings the cargo subcommands that they use.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command speaks on its terminal"
)]

mod bench;
mod ci;
mod command;
mod commands;
mod conformance;
mod coverage;
mod deps;
mod docs;
mod examples;
mod features;
mod fuzz;
mod generate;
mod leftovers;
mod lint;
mod loom;
mod msrv;
mod package;
mod profile;
mod redis;
mod replicas;
mod scale;
mod schema;
mod servers;
mod soak;
mod steps;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;

use crate::command::Run;
use crate::commands::COMMANDS;

fn main() -> ExitCode {
    mcp_harness::command::main(run)
}

fn run(args: &[&str]) -> Result<()> {
    let (name, args) = match args {
        [] | ["help" | "--help" | "-h"] => {
            print!("{}", command::overview(COMMANDS));
            return Ok(());
        }
        ["help", name, ..] => (name, &["--help"][..]),
        [name, args @ ..] => (name, args),
    };
    let command = command::find(COMMANDS, name)?;
    let own = args.iter().take_while(|arg| **arg != "--");
    if own.into_iter().any(|arg| matches!(*arg, "--help" | "-h")) {
        print!("{}", command.help());
        return Ok(());
    }
    command.check(args)?;
    match command.run {
        Run::Step(step) => steps::run_all(&[(command.name, &step)]),
        Run::StepWith(step) => steps::run_all(&[(command.name, &|| step(args))]),
        Run::Steps(run) | Run::Plain(run) => run(args),
    }
}
