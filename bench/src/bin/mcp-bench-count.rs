//! The same, built with the feature `count`: what allocates.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    mcp_bench::main()
}
