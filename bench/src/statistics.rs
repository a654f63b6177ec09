//! Medians, and how far the rounds lie apart.

use serde::Serialize;

/// The middle of some numbers, and the quarters around it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lower_quartile: f64,
    pub(crate) upper_quartile: f64,
}

impl Spread {
    /// `None` of no numbers.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            median: at(&sorted, 2)?,
            lower_quartile: at(&sorted, 1)?,
            upper_quartile: at(&sorted, 3)?,
        })
    }
}

/// The number that so many quarters of the others are below of, between its neighbours.
fn at(sorted: &[f64], quarters: usize) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let (place, rest) = (last * quarters / 4, last * quarters % 4);
    let (low, high) = (sorted.get(place)?, sorted.get((place + 1).min(last))?);
    Some(low + (high - low) * rest as f64 / 4.0)
}

#[test]
fn quartiles_lie_between_neighbours() {
    let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
    assert!((spread.median - 2.5).abs() < 1e-9);
    assert!((spread.lower_quartile - 1.75).abs() < 1e-9);
    assert!((spread.upper_quartile - 3.25).abs() < 1e-9);
    assert!(Spread::of([]).is_none());
}
