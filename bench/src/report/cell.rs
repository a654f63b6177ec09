//! What the rounds of a cell come to, beside the floor of the same rounds.

use serde::Serialize;

use crate::measure::Sample;
use crate::plan::Workload;
use crate::run::Samples;
use crate::statistics::Spread;

/// A contender at a workload, over all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) workload: &'static str,
    pub(crate) contender: &'static str,
    pub(super) cpu_ns: Spread,
    pub(super) wall_ns: Spread,
    pub(super) p50_ns: Spread,
    pub(super) allocations: f64,
    pub(super) allocated_bytes: f64,
    /// Beside the floor of the same round, the workload's first contender.
    pub(crate) cpu_ratio: Option<Spread>,
    pub(crate) wall_ratio: Option<Spread>,
    pub(crate) p50_ratio: Option<Spread>,
    pub(crate) bytes_ratio: Option<f64>,
    pub(crate) instructions_ratio: Option<f64>,
    pub(super) instructions: f64,
}

impl Cell {
    /// `None` where the contender was not run.
    pub(super) fn of(
        workload: &'static Workload,
        contender: &'static str,
        samples: &Samples,
    ) -> Option<Self> {
        let own = rounds(samples, workload.name, contender)?;
        let spread = |quantity: fn(&Sample) -> f64| Spread::of(own.iter().map(quantity));
        let ratio = |quantity: fn(&Sample) -> f64| {
            let floor = rounds(samples, workload.name, workload.floor()?)?;
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
}

/// What a cell measured, round by round.
pub(super) fn rounds<'s>(
    samples: &'s Samples,
    workload: &'static str,
    contender: &'static str,
) -> Option<&'s [Sample]> {
    let own = samples.get(&(workload, contender));
    own.map(Vec::as_slice)
}

/// Ratios within each round.
pub(super) fn ratios(
    own: &[Sample],
    other: &[Sample],
    quantity: fn(&Sample) -> f64,
) -> Option<Spread> {
    let pairs = own.iter().map(quantity).zip(other.iter().map(quantity));
    Spread::of(
        pairs
            .filter(|(_, other)| *other > 0.0)
            .map(|(own, other)| own / other),
    )
}
