//! How long to leave a source alone, after it failed and after its tokens were refused.

use std::time::Duration;

use crate::time::Instant;
use crate::{CredentialError, CredentialErrorKind};

/// The pause after the first failure; it doubles with each further one.
const FIRST: Duration = Duration::from_millis(250);
/// The longest pause of our own making.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest pause that a source can ask for; beyond it, a broken or hostile `Retry-After` would
/// switch the credential off.
const LONGEST_ASKED: Duration = Duration::from_secs(300);
/// How long a failure that only a person can mend is remembered: long enough to spare the source a
/// storm, short enough that a mended configuration is noticed.
const TERMINAL: Duration = Duration::from_secs(10);

/// The pause after a failure, the `failures`-th in a row; `chance` in 0..1 spreads processes.
pub(crate) fn pause(error: &CredentialError, failures: u32, chance: f64) -> Duration {
    let CredentialErrorKind::Unavailable { retry_after } = error.kind() else {
        return TERMINAL;
    };
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16)));
    // Between half and the whole of it: spread, yet never so short that it is no pause.
    let jittered = doubled
        .min(LONGEST)
        .mul_f64(chance.clamp(0.0, 1.0).mul_add(0.5, 0.5));
    match retry_after {
        Some(asked) => jittered.max((*asked).min(LONGEST_ASKED)),
        None => jittered,
    }
}

/// How many refreshes rejections may cause: a server that refuses whatever it is sent must not
/// turn every call into a refresh.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u32,
    since: Option<Instant>,
}

impl Budget {
    /// This many at once, enough for tokens that a server revokes many times a minute.
    const BURST: u32 = 64;
    /// Then one more in each of these.
    const REFILL: Duration = Duration::from_secs(1);

    pub(crate) fn new() -> Self {
        Self {
            left: Self::BURST,
            since: None,
        }
    }

    /// Whether one more is fine now.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let earned = now.saturating_duration_since(since).as_secs() / Self::REFILL.as_secs();
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(Self::BURST);
            self.left = self.left.saturating_add(earned).min(Self::BURST);
            self.since = Some(now);
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_are_bounded() {
        let error = CredentialError::unavailable("down");
        assert_eq!(pause(&error, 1, 1.0), FIRST);
        assert_eq!(pause(&error, 2, 1.0), FIRST * 2);
        assert_eq!(pause(&error, 2, 0.0), FIRST);
        assert_eq!(pause(&error, u32::MAX, 1.0), LONGEST);
    }

    #[test]
    fn the_source_may_ask_for_more_within_reason() {
        let asked = |seconds| CredentialError::retry_after(Duration::from_secs(seconds), "busy");
        assert_eq!(pause(&asked(120), 1, 0.5), Duration::from_secs(120));
        assert_eq!(pause(&asked(0), 1, 1.0), FIRST);
        assert_eq!(pause(&asked(u64::MAX), 1, 0.5), LONGEST_ASKED);
        assert_eq!(pause(&CredentialError::denied("no"), 9, 0.5), TERMINAL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_refills_slowly() {
        let mut budget = Budget::new();
        let now = Instant::now();
        assert_eq!((0..1000).filter(|_| budget.take(now)).count(), 64);
        let later = now + Duration::from_secs(3);
        assert_eq!((0..1000).filter(|_| budget.take(later)).count(), 3);
        let much_later = now + Duration::from_secs(86_400);
        assert_eq!((0..1000).filter(|_| budget.take(much_later)).count(), 64);
    }
}
