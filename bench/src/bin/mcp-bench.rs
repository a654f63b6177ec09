//! The benchmark: what takes time.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    mcp_bench::main()
}
