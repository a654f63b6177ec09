//! A run: rounds of all cells, interleaved, and what is made of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};

use crate::machine::Machine;
use crate::measure::Sample;
use crate::plan::{Load, WORKLOADS, Workload};
use crate::process::{Pinning, Server};
use crate::report::Report;

const ROUNDS: usize = 11;
const QUICK_ROUNDS: usize = 3;

/// What was asked for.
struct Options {
    check: bool,
    quick: bool,
    out: PathBuf,
    page: Option<PathBuf>,
}

impl Options {
    fn parse(args: &[&str]) -> Result<Self> {
        let mut options = Self {
            check: false,
            quick: false,
            out: PathBuf::from("target/bench"),
            page: None,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} wants a path"));
            match *arg {
                "--check" => options.check = true,
                "--quick" => options.quick = true,
                "--out" => options.out = PathBuf::from(value()?),
                "--page" => options.page = Some(PathBuf::from(value()?)),
                other => bail!("no such option: {other}"),
            }
        }
        Ok(options)
    }
}

/// The samples of each cell, one per round.
pub(crate) type Samples = BTreeMap<(&'static str, &'static str), Vec<Sample>>;

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let options = Options::parse(args)?;
    let pinning = Pinning::find();
    let rounds = if options.quick { QUICK_ROUNDS } else { ROUNDS };
    let server = Server::start(pinning)?;
    let mut samples = Samples::new();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for workload in WORKLOADS {
            if round > 0 && !workload.is_timed() {
                continue;
            }
            let calls = if options.quick {
                workload.calls.div_ceil(2)
            } else {
                workload.calls
            };
            once(pinning, &server, workload, round, calls, &mut samples)?;
        }
    }
    drop(server);
    let report = Report::new(Machine::here(), pinning.is_there(), rounds, &samples)?;
    report.print();
    std::fs::create_dir_all(&options.out)?;
    let file = options.out.join("report.json");
    std::fs::write(&file, report.json()? + "\n")?;
    println!("\nwritten: {}", file.display());
    if let Some(page) = &options.page {
        let text = std::fs::read_to_string(page).unwrap_or_default();
        std::fs::write(page, report.replaced_in(&text)?)?;
        println!("written: {}", page.display());
    }
    let broken = report.broken();
    ensure!(!options.check || broken == 0, "{broken} bounds are broken");
    Ok(())
}

/// One round of a workload. The floor is measured before and after the others, because a machine
/// has better and worse moments.
fn once(
    pinning: Pinning,
    server: &Server,
    workload: &'static Workload,
    round: usize,
    calls: u64,
    samples: &mut Samples,
) -> Result<()> {
    let cell = |contender: &str| {
        // Each call a connection of its own: a tenth tells enough.
        let calls = if contender.starts_with("rmcp default") {
            calls.div_ceil(10)
        } else {
            calls
        };
        pinning.cell(workload.name, contender, &server.address, calls)
    };
    let (floor, others) = workload.contenders.split_first().context("nobody to run")?;
    let mut order: Vec<&'static str> = others.to_vec();
    let turns = round % order.len().max(1);
    order.rotate_left(turns);
    let before = cell(floor)?;
    for contender in order {
        let sample = cell(contender)?;
        samples
            .entry((workload.name, contender))
            .or_default()
            .push(sample);
    }
    let floors = match workload.load {
        Load::Memory => before,
        _ => before.mean(&cell(floor)?),
    };
    samples
        .entry((workload.name, *floor))
        .or_default()
        .push(floors);
    Ok(())
}
