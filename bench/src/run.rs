//! A run: rounds of all cells, interleaved, and what is made of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use mcp_harness::process::{Pinning, Server, this_program};
use mcp_harness::report::replace;
use mcp_harness::wakefulness::Wakeful;

use crate::foreign::{self, Foreign, Places};
use crate::measure::Sample;
use crate::plan::{self, Load, WORKLOADS, Workload};
use crate::report::Report;
use crate::{instructions, picture, process};

const ROUNDS: usize = 11;
const QUICK_ROUNDS: usize = 3;

/// What was asked for.
struct Options {
    check: bool,
    quick: bool,
    out: PathBuf,
    page: Option<PathBuf>,
    picture: Option<PathBuf>,
    counting: Option<PathBuf>,
    places: Places,
}

impl Options {
    fn parse(args: &[&str]) -> Result<Self> {
        let mut options = Self {
            check: false,
            quick: false,
            out: PathBuf::from("target/bench"),
            page: None,
            picture: None,
            counting: None,
            places: Places {
                servers: PathBuf::from("target/servers"),
                scripts: PathBuf::from("bench/contenders"),
                mcpt: PathBuf::from("target/release/mcpt"),
            },
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} wants a path"));
            match *arg {
                "--check" => options.check = true,
                "--quick" => options.quick = true,
                "--out" => options.out = PathBuf::from(value()?),
                "--page" => options.page = Some(PathBuf::from(value()?)),
                "--picture" => options.picture = Some(PathBuf::from(value()?)),
                "--counting" => options.counting = Some(PathBuf::from(value()?)),
                "--servers" => options.places.servers = PathBuf::from(value()?),
                "--scripts" => options.places.scripts = PathBuf::from(value()?),
                "--mcpt" => options.places.mcpt = PathBuf::from(value()?),
                other => bail!("no such option: {other}"),
            }
        }
        Ok(options)
    }
}

/// The samples of each cell, one per round.
pub(crate) type Samples = BTreeMap<(&'static str, &'static str), Vec<Sample>>;

/// What a run works with.
struct Bench {
    pinning: Pinning,
    server: Server,
    foreign: Foreign,
    program: PathBuf,
    /// The same program, counting allocations.
    counting: Option<PathBuf>,
    counts_instructions: bool,
}

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let options = Options::parse(args)?;
    let pinning = Pinning::find();
    let rounds = if options.quick { QUICK_ROUNDS } else { ROUNDS };
    let bench = Bench {
        pinning,
        server: process::server(pinning)?,
        foreign: Foreign::find(options.places),
        program: this_program()?,
        counting: options.counting,
        counts_instructions: instructions::can_be_counted(),
    };
    if !bench.counts_instructions {
        eprintln!("left out: instructions (valgrind is not there)");
    }
    for (kind, why) in bench.foreign.missing() {
        eprintln!("left out: {kind} ({why})");
    }
    if bench.counting.is_none() {
        eprintln!("left out: allocations (no --counting program)");
    }
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
            let _wakeful = workload.is_awake().then(Wakeful::keep);
            bench.once(workload, round, calls, &mut samples)?;
        }
    }
    let report = Report::new(pinning, rounds, &bench.foreign, &samples);
    drop(bench);
    println!("{}", report.markdown());
    std::fs::create_dir_all(&options.out)?;
    let drawn = picture::draw(&report);
    let mut written = vec![
        (options.out.join("report.json"), report.json()? + "\n"),
        (options.out.join("report.svg"), drawn.clone()),
    ];
    written.extend(options.picture.map(|picture| (picture, drawn)));
    println!();
    for (file, text) in written {
        std::fs::write(&file, text).with_context(|| file.display().to_string())?;
        println!("written: {}", file.display());
    }
    if let Some(page) = options.page {
        replace(&page, "measured", &report.markdown())?;
        println!("written: {}", page.display());
    }
    let broken = report.broken();
    println!("{}", report.verdict());
    ensure!(!options.check || broken == 0, "{broken} bounds are broken");
    Ok(())
}

impl Bench {
    /// One round of a workload. The floor is measured before and after the others, because a
    /// machine has better and worse moments.
    fn once(
        &self,
        workload: &'static Workload,
        round: usize,
        calls: u64,
        samples: &mut Samples,
    ) -> Result<()> {
        if workload.load == Load::Instructions && !self.counts_instructions {
            return Ok(());
        }
        let here = |contender: &&&'static str| self.foreign.is_there(contender);
        let contenders: Vec<&'static str> =
            workload.contenders.iter().filter(here).copied().collect();
        let Some((floor, others)) = contenders.split_first() else {
            return Ok(());
        };
        let mut order: Vec<&'static str> = others.to_vec();
        let turns = round % order.len().max(1);
        order.rotate_left(turns);
        if !workload.is_awake() {
            // It takes cores a while to find back to their sleep.
            self.cell(workload, floor, calls)?;
        }
        let before = self.cell(workload, floor, calls)?;
        for contender in order {
            let sample = self.cell(workload, contender, calls)?;
            let cell = samples.entry((workload.name, contender));
            cell.or_default().push(sample);
        }
        let floors = match workload.load {
            Load::Memory | Load::Size | Load::Instructions => before,
            _ => before.mean(&self.cell(workload, floor, calls)?),
        };
        let cell = samples.entry((workload.name, *floor));
        cell.or_default().push(floors);
        if round == 0 && workload.counts() {
            self.count(workload, &contenders, samples)?;
        }
        Ok(())
    }

    /// Allocations, once: they are the same in each round.
    fn count(
        &self,
        workload: &'static Workload,
        contenders: &[&'static str],
        samples: &mut Samples,
    ) -> Result<()> {
        let Some(program) = &self.counting else {
            return Ok(());
        };
        let (pinning, address) = (self.pinning, self.server.address());
        // What tenants hold is a mean over all of them.
        let calls = match workload.load {
            Load::Memory => workload.calls,
            _ => 1,
        };
        for contender in contenders.iter().filter(|it| foreign::is_ours(it)) {
            let counted =
                process::cell(pinning, program, workload.name, contender, address, calls)?;
            let cell = samples.entry((workload.name, contender));
            if let Some(sample) = cell.or_default().last_mut() {
                *sample = sample.counted(&counted);
            }
        }
        Ok(())
    }

    fn cell(&self, workload: &Workload, contender: &str, calls: u64) -> Result<Sample> {
        let (pinning, address) = (self.pinning, self.server.address());
        let calls = calls.div_ceil(plan::share(contender));
        match workload.load {
            Load::Command => return self.foreign.command(pinning, contender, address, calls),
            Load::Size => return self.foreign.size(),
            Load::Instructions => {
                return instructions::count(pinning, &self.program, contender, address, calls);
            }
            _ => {}
        }
        let url = format!("http://{address}{}", workload.path(contender));
        match self.foreign.cell(pinning, contender, &url, calls)? {
            Some(sample) => Ok(sample),
            None => process::cell(
                pinning,
                &self.program,
                workload.name,
                contender,
                address,
                calls,
            ),
        }
    }
}
