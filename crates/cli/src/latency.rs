//! How long calls took, all together.

use std::time::Duration;

use serde::Serialize;

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// Of these durations, by nearest rank; all zero when there are none.
    pub(crate) fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let rank = |percent: usize| {
            let rank = (durations.len() * percent).div_ceil(100);
            let found = durations.get(rank.saturating_sub(1));
            milliseconds(found.copied().unwrap_or_default())
        };
        Self {
            p50: rank(50),
            p95: rank(95),
            p99: rank(99),
            max: rank(100),
        }
    }
}

/// With three digits behind the point: microseconds.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let durations = (1..=200).rev().map(Duration::from_millis).collect();
        let latency = Latency::of(durations);
        let expected = Latency {
            p50: 100.0,
            p95: 190.0,
            p99: 198.0,
            max: 200.0,
        };
        assert_eq!(latency, expected);
        let one = Latency::of(vec![Duration::from_nanos(1_234_567)]);
        assert_eq!((one.p50, one.max), (1.235, 1.235));
        assert_eq!(Latency::of(Vec::new()), Latency::default());
    }
}
