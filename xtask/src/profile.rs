//! `cargo xtask profile`: where the time of a cell of the benchmark goes, and who allocates.

mod sites;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use mcp_harness::process::{Server, succeeds};
use serde_json::Value;
use xshell::{Shell, cmd};

use self::sites::sites;
use crate::{bench, workspace};

/// What is profiled unless told otherwise: workload and contender.
const CELL: &str = "calls/mcp-http";

/// How many calls of a workload are sampled: for some seconds, each of which writes 80 MB of stacks.
fn sampled(workload: &str) -> u32 {
    match workload {
        "hot" => 20_000_000,
        "list" => 5_000,
        // Tenants, who all stay.
        "memory" => 2_000,
        _ => 60_000,
    }
}

/// How many calls are counted.
const COUNTED: u32 = 1_000;
/// In a run that shows what the others add to.
const UNCOUNTED: u32 = 100;

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let at = args.iter().position(|arg| *arg == "--cell");
    let cell = at.and_then(|at| args.get(at + 1)).copied().unwrap_or(CELL);
    let (workload, contender) = cell
        .split_once('/')
        .with_context(|| format!("`{cell}` is no <workload>/<contender> such as `{CELL}`"))?;
    let shell = workspace::shell()?;
    let program = bench::program(&shell)?;
    let server = Server::start(Command::new(&program).arg("serve"))?;
    let folder = workspace::root()?.join("target/bench");
    fs::create_dir_all(&folder)?;
    let profiled = Profiled {
        shell: &shell,
        program: &program,
        cell: ["cell", workload, contender, server.address()],
        title: cell,
        file: folder.join(cell.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-")),
    };
    if args.contains(&"--allocations") {
        return profiled.allocations();
    }
    let sampling = [
        "record",
        "--quiet",
        "-e",
        "cpu-clock",
        "-o",
        "/dev/null",
        "true",
    ];
    if succeeds(Command::new("perf").args(sampling)) {
        return profiled.flames();
    }
    println!("perf is not there or may not sample; counting instructions instead");
    profiled.instructions()
}

struct Profiled<'p> {
    shell: &'p Shell,
    program: &'p Path,
    cell: [&'p str; 4],
    title: &'p str,
    /// What is written, but for the ending.
    file: PathBuf,
}

impl Profiled<'_> {
    /// A flamegraph, kernel and all, where it may be seen.
    fn flames(&self) -> Result<()> {
        let (data, picture) = (self.file("perf"), self.file("svg"));
        let stacks = [
            "--call-graph",
            "dwarf,32768",
            "-e",
            "cpu-clock",
            "-F",
            "2500",
        ];
        let record = cmd!(self.shell, "perf record --quiet -o {data} {stacks...}");
        let [_, workload, ..] = self.cell;
        self.run_below(record, sampled(workload))?;
        let Self {
            shell,
            program,
            title,
            ..
        } = self;
        let stacks = cmd!(shell, "perf script --no-inline -F ip,sym -i {data}")
            .ignore_stderr()
            .read()?;
        let drawn = cmd!(shell, "{program} flames {title}")
            .stdin(stacks)
            .read()?;
        fs::write(&picture, drawn)?;
        fs::remove_file(&data)?;
        println!("written: {}", picture.display());
        Ok(())
    }

    /// Instructions by function, which do not depend on who else uses the machine.
    fn instructions(&self) -> Result<()> {
        let (counts, table) = (self.file("callgrind"), self.file("txt"));
        let callgrind = [
            "--tool=callgrind",
            &format!("--callgrind-out-file={}", counts.display()),
        ];
        self.run_below(cmd!(self.shell, "valgrind --quiet {callgrind...}"), COUNTED)
            .context("neither perf nor valgrind can be used")?;
        let annotated = cmd!(self.shell, "callgrind_annotate --inclusive=yes {counts}").read()?;
        fs::write(&table, annotated)?;
        println!("written: {}", table.display());
        Ok(())
    }

    /// Each place that allocates once per call or more often.
    fn allocations(&self) -> Result<()> {
        let counts = self.file("dhat.json");
        let out = format!("--dhat-out-file={}", counts.display());
        let counted = |calls| -> Result<Value> {
            let dhat = ["--tool=dhat", "--num-callers=60", &out];
            self.run_below(cmd!(self.shell, "valgrind --quiet {dhat...}"), calls)
                .context("valgrind counts allocations; it is not there or failed")?;
            Ok(serde_json::from_slice(&fs::read(&counts)?)?)
        };
        // A run calls before and behind those that it is told to make, too.
        let (before, with_calls) = (counted(UNCOUNTED)?, counted(UNCOUNTED + COUNTED)?);
        let sites = sites(&before, &with_calls, f64::from(COUNTED));
        ensure!(!sites.is_empty(), "nothing allocates");
        println!("\n{:>6} {:>8}  where", "times", "bytes");
        let mut all = 0.0;
        for (place, site) in &sites {
            all += site.times;
            println!("{:>6.2} {:>8.0}  {place}", site.times, site.bytes);
        }
        println!(
            "{all:>6.2} per call; the whole stacks: {}",
            counts.display()
        );
        Ok(())
    }

    /// Runs the cell below a program that watches it.
    fn run_below(&self, watching: xshell::Cmd<'_>, calls: u32) -> Result<()> {
        let watched = watching.arg(self.program).args(self.cell);
        Ok(watched.arg(calls.to_string()).run()?)
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.file.with_extension(ending)
    }
}
