//! Durations as logs and records show them.

use std::time::Duration;

/// Milliseconds, to the microsecond: what is finer is noise, and `14.431612999999999` is no help.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_finer_than_a_microsecond_is_shown() {
        let shown = |nanoseconds| milliseconds(Duration::from_nanos(nanoseconds)).to_string();
        assert_eq!(shown(14_431_612), "14.432");
        assert_eq!(shown(1_000_000), "1");
        assert_eq!(shown(499), "0");
        assert_eq!(shown(86_400_000_000_123), "86400000");
    }
}
