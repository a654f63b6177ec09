//! Quantiles.

/// The number that a share (0 to 1) of the others lie below, between its neighbours; `None` of no
/// numbers. They are sorted.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a place in a list is far below 2^52"
)]
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = place as usize;
    let (low, high) = (sorted.get(below)?, sorted.get((below + 1).min(last))?);
    Some(low + (high - low) * place.fract())
}

#[test]
fn a_quantile_lies_between_its_neighbours() {
    let at = |share| quantile(&[1.0, 2.0, 3.0, 4.0], share).unwrap();
    for (share, expected) in [
        (0.0, 1.0),
        (0.25, 1.75),
        (0.5, 2.5),
        (0.75, 3.25),
        (1.0, 4.0),
    ] {
        assert!((at(share) - expected).abs() < 1e-9, "{share}");
    }
    assert_eq!(quantile(&[], 0.5), None);
}
