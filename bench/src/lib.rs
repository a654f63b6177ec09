//! What a call costs: beside a bare client that does nothing else, and beside rmcp.
//!
//! `cargo xtask bench` builds and runs it. Every cell of the table is a process of its own
//! (`mcp-bench cell …`) on a core of its own, so that no contender warms or burdens another.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command speaks on its terminal"
)]
#![expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds and counts of a run fit a float's 52 bits"
)]

mod cell;
mod flames;
mod floor;
mod foreign;
mod hot;
mod instructions;
mod lists;
mod measure;
mod memory;
mod ours;
mod peers;
mod picture;
mod plan;
mod process;
mod report;
mod run;
mod server;
mod statistics;

use std::process::ExitCode;

const HELP: &str = "\
mcp-bench run [--check] [--quick] [--out <folder>] [--page <file>] [--picture <file>]
              [--counting <file>] [--servers <folder>] [--scripts <folder>] [--mcpt <file>]
         every cell of every workload in interleaved rounds, and a table of ratios
         --check    fails when a bound is broken
         --quick    fewer rounds and calls
         --out      where report.json and report.svg go (default target/bench)
         --page     a Markdown file whose measured part is replaced
         --picture  where report.svg goes, too
         --counting this program, built with the feature `count`
         --servers  where the SDKs of other languages are (default target/servers)
         --scripts  the programs that use them (default bench/contenders)
         --mcpt     the command (default target/release/mcpt)
mcp-bench cell <workload> <contender> <address> <calls>
         one cell; prints one line of JSON
mcp-bench flames <title>
         a flamegraph of the stacks on standard input (`perf script -F ip,sym`), as SVG
mcp-bench serve
         the server; prints its address, ends when its standard input ends
";

/// The program, counting allocations or not.
pub fn main() -> ExitCode {
    mcp_harness::command::main(|args| match args {
        ["run", options @ ..] => run::run(options),
        ["cell", workload, contender, address, calls] => {
            cell::run(workload, contender, address, calls)
        }
        ["flames", title] => flames::run(title),
        ["serve"] => server::serve(),
        _ => {
            eprint!("{HELP}");
            anyhow::bail!("no such command: {}", args.join(" "))
        }
    })
}
