//! Whether the bounds are kept.

use serde::Serialize;

use super::cell::{ratios, rounds};
use crate::measure::Sample;
use crate::plan::{BOUNDS, Bound, Limit, Quantity, Workload};
use crate::run::Samples;
use crate::statistics::Spread;

/// A bound, and what became of it.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) what: String,
    pub(super) measured: Option<f64>,
    pub(super) limit: f64,
    pub(super) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Kept,
    Broken,
    /// The floor itself hardly keeps it.
    OutOfReach,
    NotMeasured,
}

pub(super) fn all(samples: &Samples) -> Vec<Judged> {
    BOUNDS.iter().map(|bound| judge(bound, samples)).collect()
}

fn judge(bound: &Bound, samples: &Samples) -> Judged {
    let Bound {
        workload,
        contender,
        quantity,
        limit,
    } = *bound;
    let median = |quantity: fn(&Sample) -> f64| {
        let own = rounds(samples, workload, contender)?;
        Spread::of(own.iter().map(quantity)).map(|spread| spread.median)
    };
    // In the first round, and not at all where nothing counted.
    let counted = |quantity: fn(&Sample) -> f64| {
        let first = rounds(samples, workload, contender)?.first().map(quantity);
        first.filter(|value| *value > 0.0)
    };
    let over = |other: (&'static str, &'static str), quantity: fn(&Sample) -> f64| {
        let own = rounds(samples, workload, contender)?;
        let other = rounds(samples, other.0, other.1)?;
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
        let own = rounds(samples, bound.workload, bound.contender)?;
        ratios(own, rounds(samples, at, floor?)?, |sample| sample.cpu_ns)
    };
    beside_floor().is_some_and(|ratio| ratio.median < limit * WITHIN_REACH)
}
