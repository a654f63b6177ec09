//! `mcp-codegen <catalog.json> [--out <file.rs>] [--check]`
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command speaks on its terminal"
)]

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use mcp_adapter::ToolLock;

const HELP: &str = "\
mcp-codegen <catalog.json> [--out <file.rs>] [--check]

  Writes Rust types for the tools of a saved catalog (`ToolSet::lock`), to standard output or a file.
  --check changes nothing and fails when the file is not what would be written.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        [] | ["--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        [catalog] => generated(catalog).map(|code| print!("{code}")),
        [catalog, "--out", file] => write(catalog, file, false),
        [catalog, "--out", file, "--check"] => write(catalog, file, true),
        _ => Err(anyhow::anyhow!("{HELP}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn write(catalog: &str, file: &str, check: bool) -> Result<()> {
    let code = generated(catalog)?;
    let there = std::fs::read_to_string(Path::new(file)).ok();
    if there.as_deref() == Some(&code) {
        return Ok(());
    }
    if check {
        bail!("{file} is not what {catalog} gives; run this without --check");
    }
    std::fs::write(file, code).with_context(|| format!("cannot write {file}"))
}

fn generated(catalog: &str) -> Result<String> {
    let text =
        std::fs::read_to_string(catalog).with_context(|| format!("cannot read {catalog}"))?;
    mcp_codegen::generate(&ToolLock::from_json(&text)?)
}
