//! `mcpt`: list and call the tools of MCP servers from a shell, log in to them, and say why one does
//! not work.
//!
//! One module per command (`tools`, `call` with `repeat`, `doctor`, `login`, `logout`); what they
//! find is printed by `render`. `servers` says which servers are meant, `connect` loads their tools,
//! `exit` turns kinds of errors into exit codes.
#![forbid(unsafe_code)]

mod args;
mod arguments;
mod argv;
mod browser;
mod call;
mod connect;
mod doctor;
mod exit;
mod failure;
mod latency;
mod logging;
mod login;
mod logout;
mod manual;
mod reference;
mod render;
mod repeat;
mod runtime;
mod servers;
mod terminal;
mod tokens;
mod tools;
mod wait;

use std::process::ExitCode;

use clap::FromArgMatches as _;

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Look;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let json = argv::wants_json(&words);
    let tree = Cli::tree();
    let words = argv::command_first(words, &tree);
    let parsed = tree.try_get_matches_from(words);
    let exit = match parsed.and_then(|parsed| Cli::from_arg_matches(&parsed)) {
        Ok(cli) => {
            logging::start();
            match &cli.command {
                Command::Tools(args) => tools::run(args),
                Command::Call(args) => call::run(args),
                Command::Doctor(args) => doctor::run(args),
                Command::Login(args) => login::run(args),
                Command::Logout(args) => logout::run(args),
                Command::Completions { shell } => manual::completions(*shell),
                Command::Man { out } => manual::pages(out.as_deref()),
                Command::Schema => manual::schema(),
            }
        }
        Err(error) => usage(&error, json),
    };
    exit.into()
}

/// Help, or what is wrong with the command line.
fn usage(error: &clap::Error, json: bool) -> Exit {
    let _reader_may_be_gone = error.print();
    if !error.use_stderr() {
        return Exit::Done;
    }
    if json {
        let words = error.to_string();
        let first = words.split("\n\n").next().unwrap_or_default();
        let message = first.trim_start_matches("error: ").trim().to_owned();
        let failure = Failure {
            kind: "config",
            message,
        };
        terminal::print(&render::failed(&failure, Look::of_stdout()));
    }
    Exit::Usage
}
