//! `cargo xtask …`: everything that CI and a contributor run.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command speaks on its terminal"
)]

mod bench;
mod ci;
mod conformance;
mod deps;
mod docs;
mod examples;
mod fuzz;
mod generate;
mod leftovers;
mod lint;
mod servers;
mod steps;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  test [--no-servers] [-- <args for nextest>]
           build and run every test; with args, only the tests they choose
           --no-servers leaves out the tests that need real MCP servers
  servers  install the real MCP servers that tests talk to, under target/servers
  ci       everything that CI runs: fmt, tidy, deps, clippy, docs, test, examples
  conformance [<args for the runner>]
           run the official MCP conformance suite, strictly
  fuzz [--seconds <n>] [--seed <n>]
           damaged inputs against what reads a peer's bytes, 60 s each by default
  bench [--check] [--quick]
           measure what a call costs beside a bare client and rmcp, in a release build;
           --check fails when a bound is broken; --quick takes fewer rounds, and leaves
           docs/performance.md as it is
  generate <catalog.json> [--out <file.rs>] [--check]
           write Rust types (MCP_<tool>_Input) for the tools of a saved catalog
  fmt      check the formatting
  tidy     check the house rules that no other tool knows
  deps     check licenses, sources, the crates' sizes and the arrows between them
  clippy   lint the workspace, warnings denied
  docs     build the documentation, warnings denied
  examples run the examples that end by themselves
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["test", rest @ ..] => test::run(rest),
        ["servers"] => servers::install(),
        ["ci"] => ci::run(),
        ["conformance", rest @ ..] => conformance::run(rest),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["bench", rest @ ..] => bench::run(rest),
        ["generate", rest @ ..] => generate::run(rest),
        ["fmt"] => lint::fmt(),
        ["tidy"] => tidy::run(),
        ["deps"] => deps::run(),
        ["clippy"] => lint::clippy(),
        ["docs"] => docs::run(),
        ["examples"] => examples::run(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => {
            eprint!("{HELP}");
            Err(anyhow::anyhow!("no such command: {}", other.join(" ")))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
