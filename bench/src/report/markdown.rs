//! The tables as Markdown.

use std::fmt::Write as _;

use mcp_harness::report::number;

use super::bounds::Verdict;
use super::{Cell, Report};
use crate::plan::{Load, WORKLOADS};
use crate::statistics::Spread;

impl Report {
    /// The measured part of the page.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "{}; {} rounds; {}{}.\n",
            self.machine,
            self.rounds,
            if self.pinned {
                "client and server pinned to a core each"
            } else {
                "not pinned, so trust allocations and large differences only"
            },
            if self.awake {
                "; a core that waits looks for work before it sleeps"
            } else {
                ""
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
            let _ = write!(text, "\n### {}\n\n{}", workload.title, head(workload.load));
            for cell in cells {
                text.push_str(&cell.row(workload.load));
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
    fn row(&self, load: Load) -> String {
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
        match load {
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

fn head(load: Load) -> &'static str {
    match load {
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
