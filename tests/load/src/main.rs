//! What many users cost at once, and what time leaves behind.
//!
//! `cargo xtask scale` and `cargo xtask soak` build and run it. What is measured runs in a process
//! of its own (`mcp-load cell …`), apart from the server and on another core.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command speaks on its terminal"
)]
#![expect(
    clippy::cast_precision_loss,
    reason = "counts and nanoseconds of a run fit a float's 52 bits"
)]

mod child;
mod procfs;
mod replicas;
mod scale;
mod soak;

use std::process::ExitCode;

const HELP: &str = "\
mcp-load scale [--check] [--quick] [--out <folder>] [--page <file>]
         what principals cost, up to 100,000 of them
         --check  fails when a bound is broken
         --quick  fewer principals and rounds
         --out    where report.json goes (default target/scale)
         --page   a Markdown file whose measured part is replaced; its plots go beside it
mcp-load soak [--minutes <n>] [--seed <n>] [--show <text>]
         random users against servers that fail, one minute by default
         --show   prints the log lines that hold a text
mcp-load replicas [--quick] [--processes <n>] [--callers <n>] [--users <n>] [--lives <n>]
              [--seconds-away <n>] [--out <folder>]
         processes that share logins through Redis, killed at random; fails when a bound is broken
mcp-load replica <redis> <resource> <callers> <users>
         one of them
mcp-load cell <what> <address> <number>
         one measurement; prints one line of JSON
mcp-load serve
         the server of the measurements; prints its address, ends when its standard input ends
mcp-load child
         an MCP server on standard input and output
";

fn main() -> ExitCode {
    mcp_harness::command::main(|args| match args {
        ["scale", options @ ..] => scale::run(options),
        ["soak", options @ ..] => soak::run(options),
        ["replicas", options @ ..] => replicas::run(options),
        ["replica", redis, resource, callers, users] => {
            replicas::serve(redis, resource, callers, users)
        }
        ["cell", what, address, number] => scale::cell(what, address, number),
        ["serve"] => scale::serve(),
        ["child"] => child::serve(),
        _ => {
            eprint!("{HELP}");
            anyhow::bail!("no such command: {}", args.join(" "))
        }
    })
}
