//! The table of ratios: printed, as JSON, and as Markdown.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::machine::Machine;
use crate::measure::Sample;
use crate::plan::{BOUNDS, Bound, Limit, Load, Quantity, WORKLOADS, Workload};
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
    cells: Vec<Cell>,
    bounds: Vec<Judged>,
}

/// A contender at a workload, over all rounds.
#[derive(Debug, Serialize)]
struct Cell {
    workload: &'static str,
    contender: &'static str,
    cpu_ns: Spread,
    wall_ns: Spread,
    p50_ns: Spread,
    allocations: f64,
    allocated_bytes: f64,
    /// Beside the floor of the same round, the workload's first contender.
    cpu_ratio: Option<Spread>,
    wall_ratio: Option<Spread>,
    p50_ratio: Option<Spread>,
    bytes_ratio: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Judged {
    what: String,
    measured: f64,
    limit: f64,
    kept: bool,
}

impl Report {
    pub(crate) fn new(
        machine: Machine,
        pinned: bool,
        rounds: usize,
        samples: &Samples,
    ) -> Result<Self> {
        let mut cells = Vec::new();
        for workload in WORKLOADS {
            for contender in workload.contenders {
                cells.push(Cell::of(workload, contender, samples)?);
            }
        }
        let bounds: Result<_> = BOUNDS.iter().map(|bound| judge(bound, samples)).collect();
        Ok(Self {
            machine,
            pinned,
            rounds,
            cells,
            bounds: bounds?,
        })
    }

    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// How many bounds are broken.
    pub(crate) fn broken(&self) -> usize {
        self.bounds.iter().filter(|bound| !bound.kept).count()
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
        for workload in WORKLOADS {
            let cells = self
                .cells
                .iter()
                .filter(|cell| cell.workload == workload.name);
            // Writing to a string does not fail.
            let _ = write!(text, "\n### {}\n\n{}", workload.title, head(workload));
            for cell in cells {
                text.push_str(&cell.row(workload));
            }
        }
        text.push_str("\n### Bounds\n\n| what | measured | bound | |\n|---|---|---|---|\n");
        for bound in &self.bounds {
            let verdict = if bound.kept { "kept" } else { "**broken**" };
            let (measured, limit) = (number(bound.measured), number(bound.limit));
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
    fn of(workload: &'static Workload, contender: &'static str, samples: &Samples) -> Result<Self> {
        let own = of(samples, workload.name, contender)?;
        let spread = |quantity: fn(&Sample) -> f64| Spread::of(own.iter().map(quantity));
        let ratio = |quantity: fn(&Sample) -> f64| {
            let floor = of(samples, workload.name, workload.floor()?).ok()?;
            ratios(own, floor, quantity)
        };
        let last = own.last().copied().unwrap_or_default();
        Ok(Self {
            workload: workload.name,
            contender,
            cpu_ns: spread(|sample| sample.cpu_ns).unwrap_or_default(),
            wall_ns: spread(|sample| sample.wall_ns).unwrap_or_default(),
            p50_ns: spread(|sample| sample.p50_ns).unwrap_or_default(),
            allocations: last.allocations,
            allocated_bytes: last.allocated_bytes,
            cpu_ratio: ratio(|sample| sample.cpu_ns),
            wall_ratio: ratio(|sample| sample.wall_ns),
            p50_ratio: ratio(|sample| sample.p50_ns),
            bytes_ratio: ratio(|sample| sample.allocated_bytes).map(|spread| spread.median),
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
        Load::Memory => "| | x raw text | KiB |\n|---|---|---|\n",
    }
}

fn judge(bound: &Bound, samples: &Samples) -> Result<Judged> {
    let Bound {
        workload,
        contender,
        quantity,
        limit,
    } = *bound;
    let own = of(samples, workload, contender)?;
    let median = |quantity: fn(&Sample) -> f64| {
        Spread::of(own.iter().map(quantity)).map(|spread| spread.median)
    };
    let over = |other: (&'static str, &'static str), quantity: fn(&Sample) -> f64| {
        let other = of(samples, other.0, other.1).ok()?;
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
        Quantity::Allocations => (median(|it| it.allocations), "allocations".to_owned()),
        Quantity::CpuNanos => (median(|it| it.cpu_ns), "CPU ns".to_owned()),
        Quantity::Bytes => (median(|it| it.allocated_bytes), "bytes".to_owned()),
    };
    let measured = measured.with_context(|| format!("{workload} by {contender} was not run"))?;
    let (limit, kept, word) = match limit {
        Limit::AtMost(limit) => (limit, measured <= limit, "at most"),
        Limit::AtLeast(limit) => (limit, measured >= limit, "at least"),
    };
    Ok(Judged {
        what: format!("`{workload}` by {contender}: {unit}, {word}"),
        measured,
        limit,
        kept,
    })
}

fn of<'s>(
    samples: &'s Samples,
    workload: &'static str,
    contender: &'static str,
) -> Result<&'s [Sample]> {
    let own = samples.get(&(workload, contender));
    own.map(Vec::as_slice)
        .with_context(|| format!("{workload} by {contender} was not run"))
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
fn number(value: f64) -> String {
    match value {
        _ if (value - value.round()).abs() < 1e-9 => format!("{value:.0}"),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
