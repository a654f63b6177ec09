//! A command: its arguments, and how it ends.

use std::process::ExitCode;

use anyhow::Result;

/// Runs a command with the arguments of this process. An error goes to standard error, its causes
/// behind it.
#[expect(clippy::print_stderr, reason = "a command speaks on its terminal")]
pub fn main(run: impl FnOnce(&[&str]) -> Result<()>) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
