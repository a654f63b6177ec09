//! What a run found: ratios of cells, and whether the bounds are kept; as JSON, and as Markdown.

mod bounds;
mod cell;
mod markdown;

use anyhow::Result;
use mcp_harness::machine;
use mcp_harness::process::Pinning;
use mcp_harness::wakefulness::Wakeful;
use serde::Serialize;

use self::bounds::{Judged, Verdict};
pub(crate) use self::cell::Cell;
use crate::foreign::Foreign;
use crate::plan::WORKLOADS;
use crate::run::Samples;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    /// Whether client and server had a core each.
    pinned: bool,
    /// Whether cores were kept from sleeping at once.
    awake: bool,
    rounds: usize,
    /// The contenders in other languages.
    versions: Vec<String>,
    /// What could not be run here, and why.
    left_out: Vec<String>,
    pub(crate) cells: Vec<Cell>,
    bounds: Vec<Judged>,
}

impl Report {
    pub(crate) fn new(
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
            machine: machine::described(),
            pinned: pinning.is_there(),
            awake: Wakeful::can_be(),
            rounds,
            versions: foreign.versions.clone(),
            left_out: left_out
                .map(|(kind, why)| format!("{kind}: {why}"))
                .collect(),
            cells: cells.collect(),
            bounds: bounds::all(samples),
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
}
