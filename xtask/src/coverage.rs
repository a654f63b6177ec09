//! `cargo xtask coverage`: which lines the tests reach.

use std::path::Path;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use crate::steps::Skipped;
use crate::{leftovers, servers, test, tools, workspace};

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let (own, chosen) = match args.iter().position(|arg| *arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[][..]),
    };
    let shell = workspace::shell()?;
    let llvm = llvm_tools(&shell)?;
    let _named: Vec<_> = llvm
        .iter()
        .map(|(variable, program)| shell.push_env(variable, program))
        .collect();
    tools::LLVM_COV.bring(&shell)?;
    let filter = if own.contains(&"--no-servers") {
        test::without_servers()
    } else {
        servers::install()?;
        Vec::new()
    };
    leftovers::adopt_orphans()?;
    // What earlier runs counted would be added.
    cmd!(shell, "cargo llvm-cov clean --profraw-only").run()?;
    cmd!(
        shell,
        "cargo llvm-cov nextest --no-report {filter...} {chosen...}"
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

/// The programs that read what Rust's LLVM counts, with the variables that cargo-llvm-cov knows them
/// by: none where it finds them by itself.
fn llvm_tools(shell: &Shell) -> Result<Vec<(&'static str, String)>> {
    const TOOLS: [(&str, &str); 2] = [("LLVM_COV", "llvm-cov"), ("LLVM_PROFDATA", "llvm-profdata")];
    let named = |variable| std::env::var_os(variable).is_some_and(|it| Path::new(&it).is_file());
    if TOOLS.iter().all(|(variable, _)| named(*variable)) {
        return Ok(Vec::new());
    }
    let folder = cmd!(shell, "rustc --print target-libdir").quiet().read()?;
    let folder = Path::new(&folder).with_file_name("bin");
    let beside = |program| {
        let program = format!("{program}{}", std::env::consts::EXE_SUFFIX);
        folder.join(program).is_file()
    };
    if TOOLS.iter().all(|(_, program)| beside(*program)) {
        return Ok(Vec::new());
    }
    let about = cmd!(shell, "rustc --version --verbose").quiet().read()?;
    let major = llvm_major(&about).context("rustc does not say which LLVM it has")?;
    let on_path = |program: &str| {
        let numbered = format!("{program}-{major}");
        let mut known = [numbered.as_str(), program].into_iter();
        let found = known.find(|program| {
            let about = cmd!(shell, "{program} --version").quiet().ignore_stderr();
            let about = about.read().unwrap_or_default();
            llvm_major(&about) == Some(major)
        });
        found.map(str::to_owned)
    };
    let found = TOOLS.map(|(variable, program)| Some((variable, on_path(program)?)));
    let found: Option<Vec<_>> = found.into_iter().collect();
    found.ok_or_else(|| {
        let why = format!(
            "the tools of LLVM {major} are not there: `rustup component add llvm-tools` brings them, \
             or a package such as `llvm-{major}`, or name them in LLVM_COV and LLVM_PROFDATA"
        );
        Skipped(why).into()
    })
}

/// Which LLVM `rustc --version --verbose` or a tool of LLVM says that it is of. Only the same one reads
/// what a program of the other has counted.
fn llvm_major(about: &str) -> Option<&str> {
    let version = about.split_once("LLVM version")?.1;
    version.trim_start_matches([':', ' ']).split('.').next()
}

#[test]
fn rust_and_the_tools_say_which_llvm_they_are_of() {
    let rust = "rustc 1.95.0\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
    assert_eq!(llvm_major(rust), Some("22"));
    assert_eq!(llvm_major("Debian LLVM version 22.1.8\n"), Some("22"));
    assert_eq!(llvm_major("no such program"), None);
}
