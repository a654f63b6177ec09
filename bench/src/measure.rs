//! What is read off the machine: processor time, wall time, allocations.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// What one cell measured.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Sample {
    /// Processor time of the whole process, user and system, per call, in nanoseconds.
    pub(crate) cpu_ns: f64,
    /// Time between calls ending, in nanoseconds: one after another, the whole of a call.
    pub(crate) wall_ns: f64,
    /// The median call, in nanoseconds; 0 where calls are not timed one by one.
    pub(crate) p50_ns: f64,
    /// Allocations per call; 0 where they are not counted.
    pub(crate) allocations: f64,
    /// Bytes that these asked for.
    pub(crate) allocated_bytes: f64,
    /// Instructions per call outside the kernel; 0 where they are not counted.
    #[serde(default)]
    pub(crate) instructions: f64,
}

/// Processor time that this process has used since an earlier reading.
pub(crate) fn cpu_since(earlier: Duration) -> Duration {
    cpu().saturating_sub(earlier)
}

/// Processor time that this process has used so far.
pub(crate) fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(used.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(used.tv_nsec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}

/// Nanoseconds of a duration, divided by a number of calls.
pub(crate) fn per_call(total: Duration, calls: u64) -> f64 {
    total.as_nanos() as f64 / calls.max(1) as f64
}

/// Allocations and bytes per call of what runs on this thread; 0 in a program that does not count.
pub(crate) fn allocations(calls: u64, run: impl FnOnce()) -> (f64, f64) {
    let counted = count(run);
    let calls = calls.max(1) as f64;
    (counted.times / calls, counted.bytes / calls)
}

/// Bytes that stay allocated on this thread; 0 in a program that does not count.
pub(crate) fn kept(run: impl FnOnce()) -> f64 {
    count(run).kept
}

#[derive(Default)]
struct Counted {
    times: f64,
    bytes: f64,
    kept: f64,
}

#[cfg(feature = "count")]
fn count(run: impl FnOnce()) -> Counted {
    let counted = allocation_counter::measure(run);
    Counted {
        times: counted.count_total as f64,
        bytes: counted.bytes_total as f64,
        kept: counted.bytes_current as f64,
    }
}

#[cfg(not(feature = "count"))]
fn count(run: impl FnOnce()) -> Counted {
    run();
    Counted::default()
}

impl Sample {
    /// This, with the allocations that a counting program saw.
    pub(crate) fn counted(self, counted: &Self) -> Self {
        Self {
            allocations: counted.allocations,
            allocated_bytes: counted.allocated_bytes,
            ..self
        }
    }

    /// The middle of two.
    pub(crate) fn mean(&self, other: &Self) -> Self {
        let mean = |one: f64, two: f64| f64::midpoint(one, two);
        Self {
            cpu_ns: mean(self.cpu_ns, other.cpu_ns),
            wall_ns: mean(self.wall_ns, other.wall_ns),
            p50_ns: mean(self.p50_ns, other.p50_ns),
            allocations: mean(self.allocations, other.allocations),
            allocated_bytes: mean(self.allocated_bytes, other.allocated_bytes),
            instructions: mean(self.instructions, other.instructions),
        }
    }
}
