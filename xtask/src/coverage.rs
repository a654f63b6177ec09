//! `cargo xtask coverage`: which lines the tests reach.

use std::path::Path;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::steps::Skipped;
use crate::{leftovers, servers, tools, workspace};

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let (own, chosen) = match args.iter().position(|arg| *arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[][..]),
    };
    let shell = workspace::shell()?;
    if !has_llvm_tools(&shell)? {
        return Err(Skipped(
            "Rust's llvm-tools are not installed: `rustup component add llvm-tools` brings them, or \
             name those of the same LLVM in LLVM_COV and LLVM_PROFDATA"
                .to_owned(),
        )
        .into());
    }
    tools::LLVM_COV.bring(&shell)?;
    servers::install()?;
    leftovers::adopt_orphans()?;
    cmd!(
        shell,
        "cargo llvm-cov nextest --workspace --exclude mcp-bench --no-report {chosen...}"
    )
    .run()?;
    leftovers::check()?;
    let report = cmd!(shell, "cargo llvm-cov report --summary-only");
    report.run()?;
    if own.contains(&"--html") {
        cmd!(
            shell,
            "cargo llvm-cov report --html --output-dir target/coverage"
        )
        .run()?;
        println!("target/coverage/html/index.html shows each line");
    }
    Ok(())
}

fn has_llvm_tools(shell: &Shell) -> Result<bool> {
    let named = |name| std::env::var_os(name).is_some_and(|path| Path::new(&path).is_file());
    if named("LLVM_COV") && named("LLVM_PROFDATA") {
        return Ok(true);
    }
    let folder = cmd!(shell, "rustc --print target-libdir").quiet().read()?;
    let program = format!("llvm-profdata{}", std::env::consts::EXE_SUFFIX);
    let beside = Path::new(&folder).parent();
    Ok(beside.is_some_and(|beside| beside.join("bin").join(program).is_file()))
}
