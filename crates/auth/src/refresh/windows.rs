//! When a token is refreshed early and when it is no longer sent.

use std::time::{Duration, SystemTime};

use crate::Expiry;
use crate::time::{Clock, Instant};

/// A token is not sent in the last part of its life: it would end on the way. At most this long…
const SKEW: Duration = Duration::from_secs(5);
/// …and at most this share of its life, so that a token of a few seconds is usable at all.
const SKEW_SHARE: u32 = 10;
/// Refreshing begins this long before the end, or a share of the life if that is shorter.
const EARLY: Duration = Duration::from_secs(30);
const EARLY_SHARE: u32 = 5;
/// How much earlier than that chance may move it, as a share of the early window.
const JITTER: f64 = 0.25;
/// What is assumed of a token whose source did not say when it ends.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// No token is believed for longer than a year, whatever its source says.
const MAX_LIFETIME: Duration = Duration::from_secs(366 * 24 * 3600);

/// The settings behind the two windows at the end of a token's life.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    pub(crate) skew: Duration,
    pub(crate) early: Duration,
    pub(crate) jitter: f64,
    pub(crate) default_lifetime: Duration,
}

/// The moments of one token's life. `None` means that it does not end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Life {
    pub(crate) refresh_at: Option<Instant>,
    pub(crate) usable_until: Option<Instant>,
    pub(crate) expires_at: Option<Instant>,
}

impl Life {
    pub(crate) const ENDLESS: Self = Self {
        refresh_at: None,
        usable_until: None,
        expires_at: None,
    };
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            skew: SKEW,
            early: EARLY,
            jitter: JITTER,
            default_lifetime: DEFAULT_LIFETIME,
        }
    }
}

impl Windows {
    /// The life of a token that has just been received, or that was `obtained` earlier and lay in
    /// a store. Calendar time is looked at here, once; a clock that jumps later changes nothing.
    pub(crate) fn life(
        &self,
        expiry: Expiry,
        obtained: Option<SystemTime>,
        clock: &dyn Clock,
        chance: f64,
    ) -> Life {
        let (left, whole) = match expiry {
            Expiry::Never => {
                return Life::ENDLESS;
            }
            Expiry::Unknown => (self.default_lifetime, self.default_lifetime),
            Expiry::In(lifetime) => (lifetime, lifetime),
            Expiry::At(end) => {
                let wall = clock.wall();
                let left = end.duration_since(wall).unwrap_or_default();
                let begun = obtained.map_or(wall, |obtained| obtained.min(wall));
                (left, end.duration_since(begun).unwrap_or_default())
            }
        };
        let (left, whole) = (left.min(MAX_LIFETIME), whole.min(MAX_LIFETIME));
        let now = clock.now();
        let skew = self.skew.min(whole / SKEW_SHARE);
        let early = self.early.min(whole / EARLY_SHARE).max(skew);
        let early = early + early.mul_f64(self.jitter * chance.clamp(0.0, 1.0));
        let after = |margin| now.checked_add(left.saturating_sub(margin));
        Life {
            refresh_at: after(early),
            usable_until: after(skew),
            expires_at: after(Duration::ZERO),
        }
    }

    /// The end of a token received now, as a store can keep it.
    pub(crate) fn calendar_end(&self, expiry: Expiry, wall: SystemTime) -> Expiry {
        let lifetime = match expiry {
            Expiry::Unknown => self.default_lifetime,
            Expiry::In(lifetime) => lifetime,
            known @ (Expiry::At(_) | Expiry::Never) => return known,
        };
        wall.checked_add(lifetime.min(MAX_LIFETIME))
            .map_or(Expiry::Unknown, Expiry::At)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemClock;

    fn life(expiry: Expiry, chance: f64) -> (Duration, Duration, Duration) {
        let life = Windows::default().life(expiry, None, &SystemClock, chance);
        let from_now = |at: Option<Instant>| at.unwrap() - SystemClock.now();
        (
            from_now(life.refresh_at),
            from_now(life.usable_until),
            from_now(life.expires_at),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn windows_scale_with_the_lifetime() {
        let seconds = Duration::from_secs_f64;
        assert_eq!(
            life(Expiry::In(seconds(3600.0)), 0.0),
            (seconds(3570.0), seconds(3595.0), seconds(3600.0))
        );
        assert_eq!(
            life(Expiry::In(seconds(3600.0)), 1.0).0,
            seconds(3600.0 - 37.5)
        );
        assert_eq!(
            life(Expiry::In(seconds(10.0)), 0.0),
            (seconds(8.0), seconds(9.0), seconds(10.0))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn odd_lifetimes_are_bounded() {
        assert_eq!(life(Expiry::Unknown, 0.0).2, DEFAULT_LIFETIME);
        assert_eq!(life(Expiry::In(Duration::MAX), 0.5).2, MAX_LIFETIME);
        assert_eq!(life(Expiry::In(Duration::ZERO), 0.5).2, Duration::ZERO);
        assert_eq!(
            life(Expiry::At(SystemTime::UNIX_EPOCH), 0.5).2,
            Duration::ZERO
        );
        let never = Windows::default().life(Expiry::Never, None, &SystemClock, 0.5);
        assert_eq!(never.expires_at, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stored_token_keeps_the_windows_of_its_whole_life() {
        let wall = SystemClock.wall();
        let life = Windows::default().life(
            Expiry::At(wall + Duration::from_secs(20)),
            Some(wall - Duration::from_secs(3580)),
            &SystemClock,
            0.0,
        );
        // Twenty seconds of an hour are left: late enough to refresh, early enough to use.
        assert!(life.refresh_at.unwrap() <= SystemClock.now());
        let usable = life.usable_until.unwrap() - SystemClock.now();
        assert!(usable.abs_diff(Duration::from_secs(15)) < Duration::from_secs(1));
    }
}
