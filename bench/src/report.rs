//! The table of ratios: printed, as JSON, and as Markdown.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::foreign::Foreign;
use crate::machine::Machine;
use crate::measure::Sample;
use crate::plan::{BOUNDS, Bound, Limit, Load, Quantity, WORKLOADS, Workload};
use crate::process::Pinning;
use crate::run::Samples;
use crate::statistics::Spread;

/// Between these lines of a page stands what was measured last.
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    /// Whether client and server had a core each.
    pinned: bool,
    rounds: usize,
    /// The contenders in other languages.
    versions: Vec<String>,
    /// What could not be run here, and why.
    left_out: Vec<String>,
    pub(crate) cells: Vec<Cell>,
    bounds: Vec<Judged>,
}

/// A contender at a workload, over all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) workload: &'static str,
    pub(crate) contender: &'static str,
    cpu_ns: Spread,
    wall_ns: Spread,
    p50_ns: Spread,
    allocations: f64,
    allocated_bytes: f64,
    /// Beside the floor of the same round, the workload's first contender.
    pub(crate) cpu_ratio: Option<Spread>,
    pub(crate) wall_ratio: Option<Spread>,
    pub(crate) p50_ratio: Option<Spread>,
    pub(crate) bytes_ratio: Option<f64>,
    pub(crate) instructions_ratio: Option<f64>,
    instructions: f64,
}

#[derive(Debug, Serialize)]
struct Judged {
    what: String,
    measured: Option<f64>,
    limit: f64,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Kept,
    Broken,
    /// The floor itself hardly keeps it.
    OutOfReach,
    NotMeasured,
}

impl Report {
    pub(crate) fn new(
        machine: Machine,
        pinning: Pinning,
        rounds: usize,
        foreign: &Foreign,
        samples: &Samples,
    ) -> Self {
        let cells = WORKLOADS.iter().flat_map(|workload| {
            let of = move |contender: &&'static str| Cell::of(workload, contender, samples);
            workload.contenders.iter().filter_map(of)
        });
        let left_out = foreign.missing();
        Self {
            machine,
            pinned: pinning.is_there(),
            rounds,
            versions: foreign.versions.clone(),
            left_out: left_out
                .map(|(kind, why)| format!("{kind}: {why}"))
                .collect(),
            cells: cells.collect(),
            bounds: BOUNDS.iter().map(|bound| judge(bound, samples)).collect(),
        }
    }

    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// How many bounds are broken.
    pub(crate) fn broken(&self) -> usize {
        self.count(Verdict::Broken)
    }

    /// The last line of a run.
    pub(crate) fn verdict(&self) -> String {
        format!(
            "{} bounds are kept, {} broken, {} out of reach, {} not measured",
            self.count(Verdict::Kept),
            self.broken(),
            self.count(Verdict::OutOfReach),
            self.count(Verdict::NotMeasured)
        )
    }

    fn count(&self, verdict: Verdict) -> usize {
        let bounds = self.bounds.iter();
        bounds.filter(|bound| bound.verdict == verdict).count()
    }

    pub(crate) fn print(&self) {
        println!("{}", self.markdown());
    }

    /// The page with this run in place of the last one.
    pub(crate) fn replaced_in(&self, page: &str) -> Result<String> {
        let (before, rest) = page
            .split_once(BEGIN)
            .context("the page has no measured part")?;
        let (_, behind) = rest
            .split_once(END)
            .context("the measured part has no end")?;
        Ok(format!(
            "{before}{BEGIN}\n{}\n{END}{behind}",
            self.markdown()
        ))
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "{}; {} rounds; {}.\n",
            self.machine.line(),
            self.rounds,
            if self.pinned {
                "client and server pinned to a core each"
            } else {
                "not pinned, so trust allocations and large differences only"
            },
        );
        // Writing to a string does not fail.
        if !self.versions.is_empty() {
            let _ = writeln!(text, "Beside rmcp 3.11: {}.", self.versions.join(", "));
        }
        for left_out in &self.left_out {
            let _ = writeln!(text, "Left out: {left_out}.");
        }
        for workload in WORKLOADS {
            let cells = self
                .cells
                .iter()
                .filter(|cell| cell.workload == workload.name);
            let _ = write!(text, "\n### {}\n\n{}", workload.title, head(workload));
            for cell in cells {
                text.push_str(&cell.row(workload));
            }
        }
        text.push_str("\n### Bounds\n\n| what | measured | bound | |\n|---|---|---|---|\n");
        for bound in &self.bounds {
            let verdict = match bound.verdict {
                Verdict::Kept => "kept",
                Verdict::Broken => "**broken**",
                Verdict::OutOfReach => "out of reach here",
                Verdict::NotMeasured => "not measured",
            };
            let measured = bound.measured.map(number).unwrap_or_default();
            let limit = number(bound.limit);
            let _ = writeln!(
                text,
                "| {} | {measured} | {limit} | {verdict} |",
                bound.what
            );
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl Cell {
    /// `None` where the contender was not run.
    fn of(workload: &'static Workload, contender: &'static str, samples: &Samples) -> Option<Self> {
        let own = of(samples, workload.name, contender)?;
        let spread = |quantity: fn(&Sample) -> f64| Spread::of(own.iter().map(quantity));
        let ratio = |quantity: fn(&Sample) -> f64| {
            let floor = of(samples, workload.name, workload.floor()?)?;
            ratios(own, floor, quantity)
        };
        // Counted in the first round alone.
        let counted = own.first().copied().unwrap_or_default();
        Some(Self {
            workload: workload.name,
            contender,
            cpu_ns: spread(|sample| sample.cpu_ns).unwrap_or_default(),
            wall_ns: spread(|sample| sample.wall_ns).unwrap_or_default(),
            p50_ns: spread(|sample| sample.p50_ns).unwrap_or_default(),
            allocations: counted.allocations,
            allocated_bytes: counted.allocated_bytes,
            cpu_ratio: ratio(|sample| sample.cpu_ns),
            wall_ratio: ratio(|sample| sample.wall_ns),
            p50_ratio: ratio(|sample| sample.p50_ns),
            bytes_ratio: ratio(|sample| sample.allocated_bytes).map(|spread| spread.median),
            instructions_ratio: ratio(|sample| sample.instructions).map(|spread| spread.median),
            instructions: counted.instructions,
        })
    }

    fn row(&self, workload: &Workload) -> String {
        let times = |ratio: Option<Spread>| ratio.map_or(String::new(), |it| number(it.median));
        let around = |ratio: Option<Spread>| {
            ratio.map_or(String::new(), |it| {
                format!(
                    "{} – {}",
                    number(it.lower_quartile),
                    number(it.upper_quartile)
                )
            })
        };
        let micros = |spread: Spread| number(spread.median / 1e3);
        let (cpu, cpu_ratio) = (micros(self.cpu_ns), times(self.cpu_ratio));
        let (cpu_around, contender) = (around(self.cpu_ratio), self.contender);
        let allocations = number(self.allocations);
        match workload.load {
            Load::OneByOne => format!(
                "| {contender} | {cpu_ratio} | {cpu_around} | {} | {cpu} | {} | {allocations} | {} |\n",
                times(self.p50_ratio),
                micros(self.p50_ns),
                number(self.allocated_bytes / 1024.0),
            ),
            Load::InFlight => format!(
                "| {contender} | {cpu_ratio} | {cpu_around} | {} | {cpu} | {} |\n",
                times(self.wall_ratio),
                micros(self.wall_ns),
            ),
            Load::Lists => format!(
                "| {contender} | {cpu_ratio} | {cpu_around} | {cpu} | {allocations} | {} |\n",
                number(self.allocated_bytes / 1024.0),
            ),
            Load::HotPath => format!(
                "| {contender} | {} | {allocations} |\n",
                number(self.cpu_ns.median)
            ),
            Load::Instructions => format!(
                "| {contender} | {} | {} |\n",
                self.instructions_ratio.map(number).unwrap_or_default(),
                number(self.instructions / 1e3)
            ),
            Load::Command => format!("| {contender} | {} |\n", number(self.wall_ns.median / 1e6)),
            Load::Size => format!(
                "| {contender} | {} |\n",
                number(self.allocated_bytes / f64::from(1 << 20))
            ),
            Load::Memory => format!(
                "| {contender} | {} | {} |\n",
                self.bytes_ratio.map(number).unwrap_or_default(),
                number(self.allocated_bytes / 1024.0),
            ),
        }
    }
}

fn head(workload: &Workload) -> &'static str {
    match workload.load {
        Load::OneByOne => {
            "| | CPU x raw | quartiles | p50 x raw | CPU µs | p50 µs | allocations | KiB allocated |\n|---|---|---|---|---|---|---|---|\n"
        }
        Load::InFlight => {
            "| | CPU x raw | quartiles | time x raw | CPU µs | µs per call |\n|---|---|---|---|---|---|\n"
        }
        Load::Lists => {
            "| | CPU x raw text | quartiles | CPU µs | allocations | KiB allocated |\n|---|---|---|---|---|---|\n"
        }
        Load::HotPath => "| | CPU ns | allocations |\n|---|---|---|\n",
        Load::Instructions => "| | x raw | thousands |\n|---|---|---|\n",
        Load::Command => "| | ms |\n|---|---|\n",
        Load::Size => "| | MiB |\n|---|---|\n",
        Load::Memory => "| | x raw text | KiB |\n|---|---|---|\n",
    }
}

fn judge(bound: &Bound, samples: &Samples) -> Judged {
    let Bound {
        workload,
        contender,
        quantity,
        limit,
    } = *bound;
    let median = |quantity: fn(&Sample) -> f64| {
        let own = of(samples, workload, contender)?;
        Spread::of(own.iter().map(quantity)).map(|spread| spread.median)
    };
    // In the first round, and not at all where nothing counted.
    let counted = |quantity: fn(&Sample) -> f64| {
        let first = of(samples, workload, contender)?.first().map(quantity);
        first.filter(|value| *value > 0.0)
    };
    let over = |other: (&'static str, &'static str), quantity: fn(&Sample) -> f64| {
        let own = of(samples, workload, contender)?;
        let other = of(samples, other.0, other.1)?;
        ratios(own, other, quantity).map(|spread| spread.median)
    };
    let beside = |(at, by): (&str, &str)| {
        if at == workload {
            format!("x {by}")
        } else {
            format!("x {by} of `{at}`")
        }
    };
    let (measured, unit) = match quantity {
        Quantity::CpuOver(at, by) => (
            over((at, by), |sample| sample.cpu_ns),
            format!("CPU {}", beside((at, by))),
        ),
        Quantity::MedianOver(at, by) => (
            over((at, by), |sample| sample.p50_ns),
            format!("p50 {}", beside((at, by))),
        ),
        Quantity::TimeOver(at, by) => (
            over((at, by), |sample| sample.wall_ns),
            format!("time {}", beside((at, by))),
        ),
        Quantity::InstructionsOver(at, by) => (
            over((at, by), |sample| sample.instructions),
            format!("instructions {}", beside((at, by))),
        ),
        Quantity::Allocations => (counted(|it| it.allocations), "allocations".to_owned()),
        Quantity::CpuNanos => (median(|it| it.cpu_ns), "CPU ns".to_owned()),
        Quantity::Millis => (median(|it| it.p50_ns / 1e6), "ms".to_owned()),
        Quantity::Bytes => (counted(|it| it.allocated_bytes), "bytes".to_owned()),
    };
    let (limit, word, is_kept): (_, _, fn(f64, f64) -> bool) = match limit {
        Limit::AtMost(limit) => (limit, "at most", |measured, limit| measured <= limit),
        Limit::AtLeast(limit) => (limit, "at least", |measured, limit| measured >= limit),
    };
    Judged {
        what: format!("`{workload}` by {contender}: {unit}, {word}"),
        measured,
        limit,
        verdict: match measured {
            None => Verdict::NotMeasured,
            Some(measured) if is_kept(measured, limit) => Verdict::Kept,
            Some(_) if is_out_of_reach(bound, samples) => Verdict::OutOfReach,
            Some(_) => Verdict::Broken,
        },
    }
}

/// How much of a bound a client that is hardly dearer than the floor must be able to keep, for the
/// bound to be one on us: where the kernel's part of a call is large, all clients are alike.
const WITHIN_REACH: f64 = 1.10;

/// Whether another contender costs so little more than the floor that nobody could keep the bound.
fn is_out_of_reach(bound: &Bound, samples: &Samples) -> bool {
    let (Limit::AtLeast(limit), Quantity::CpuOver(at, _)) = (bound.limit, bound.quantity) else {
        return false;
    };
    let floor = Workload::named(at).ok().and_then(Workload::floor);
    let beside_floor = || {
        let own = of(samples, bound.workload, bound.contender)?;
        ratios(own, of(samples, at, floor?)?, |sample| sample.cpu_ns)
    };
    beside_floor().is_some_and(|ratio| ratio.median < limit * WITHIN_REACH)
}

fn of<'s>(
    samples: &'s Samples,
    workload: &'static str,
    contender: &'static str,
) -> Option<&'s [Sample]> {
    let own = samples.get(&(workload, contender));
    own.map(Vec::as_slice)
}

/// Ratios within each round.
fn ratios(own: &[Sample], other: &[Sample], quantity: fn(&Sample) -> f64) -> Option<Spread> {
    let pairs = own.iter().map(quantity).zip(other.iter().map(quantity));
    Spread::of(
        pairs
            .filter(|(_, other)| *other > 0.0)
            .map(|(own, other)| own / other),
    )
}

/// As many digits as mean something.
pub(crate) fn number(value: f64) -> String {
    match value {
        _ if (value - value.round()).abs() < 1e-9 => format!("{value:.0}"),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
