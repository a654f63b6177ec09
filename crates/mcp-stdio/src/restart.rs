//! What happens after a child has crashed.

use std::time::Duration;

use mcp_auth::time::Instant;
use mcp_core::{Error, Failure};

/// When a child that has ended by itself is started again: at the next use, after a growing delay,
/// and not for ever.
///
/// A call in flight at the crash is never repeated; it ends as
/// [`OutcomeUnknown`](mcp_core::Failure).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Restart {
    /// Crashes in a row after which it is given up; 0 means at the first. Default 5.
    pub limit: u32,
    /// How long after the first crash the next start may happen; doubles with each. Default 500 ms.
    pub first_delay: Duration,
    /// The longest delay. Default 10 s.
    pub max_delay: Duration,
    /// A child that lived so long does not count as crashing in a row. Default 60 s.
    pub stable_after: Duration,
    /// How long it is given up before somebody may try again. Default 5 min.
    pub rest: Duration,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            limit: 5,
            first_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(10),
            stable_after: Duration::from_secs(60),
            rest: Duration::from_secs(5 * 60),
        }
    }
}

impl Restart {
    /// A child that has ended stays gone, until [`close`](mcp_core::ToolServer::close) forgets it.
    pub fn never() -> Self {
        Self {
            limit: 0,
            rest: Duration::MAX,
            ..Self::default()
        }
    }

    fn delay(&self, in_a_row: u32) -> Duration {
        let doublings = in_a_row.saturating_sub(1).min(30);
        self.first_delay
            .saturating_mul(1 << doublings)
            .min(self.max_delay)
    }
}

/// The crashes of one principal's children.
#[derive(Debug, Default)]
pub(crate) struct Crashes {
    in_a_row: u32,
    last: Option<Crash>,
}

/// How a child ended by itself.
#[derive(Clone, Debug)]
pub(crate) struct Crash {
    pub(crate) at: Instant,
    pub(crate) lived: Duration,
    pub(crate) error: Error,
}

impl Crashes {
    pub(crate) fn note(&mut self, crash: Crash, policy: &Restart) {
        if crash.lived >= policy.stable_after {
            self.in_a_row = 0;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.last = Some(crash);
    }

    /// When the next start may happen; `None` is now.
    pub(crate) fn next_start(
        &mut self,
        policy: &Restart,
        now: Instant,
    ) -> Result<Option<Instant>, Error> {
        let Some(last) = &self.last else {
            return Ok(None);
        };
        if self.in_a_row <= policy.limit {
            let due = last.at.checked_add(policy.delay(self.in_a_row));
            return Ok(due.filter(|due| *due > now));
        }
        let rested = last
            .at
            .checked_add(policy.rest)
            .is_some_and(|end| end <= now);
        if rested {
            *self = Self::default();
            return Ok(None);
        }
        Err(given_up(&last.error, self.in_a_row))
    }
}

/// The last error, with the news that it is not tried again.
fn given_up(last: &Error, times: u32) -> Error {
    let Failure::ServerExited { status, stderr } = last.failure() else {
        return last.clone();
    };
    let times = if times == 1 {
        "not started again".to_owned()
    } else {
        format!("{times} times in a row, not started again")
    };
    Failure::ServerExited {
        status: format!("{status}, {times}"),
        stderr: stderr.clone(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crash(at: Instant, lived: u64) -> Crash {
        let failure = Failure::ServerExited {
            status: "exit status: 1".to_owned(),
            stderr: "bad token".to_owned(),
        };
        Crash {
            at,
            lived: Duration::from_secs(lived),
            error: failure.into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn delays_grow_and_end() {
        let (policy, now) = (Restart::default(), Instant::now());
        let mut crashes = Crashes::default();
        assert_eq!(crashes.next_start(&policy, now).unwrap(), None);
        let mut delays = Vec::new();
        for _ in 0..5 {
            crashes.note(crash(now, 1), &policy);
            let due = crashes.next_start(&policy, now).unwrap().unwrap();
            delays.push((due - now).as_millis());
        }
        assert_eq!(delays, [500, 1_000, 2_000, 4_000, 8_000]);
        crashes.note(crash(now, 1), &policy);
        let error = crashes.next_start(&policy, now).unwrap_err().to_string();
        assert!(
            error.contains("6 times") && error.contains("bad token"),
            "{error}"
        );
        assert_eq!(
            crashes.next_start(&policy, now + policy.rest).unwrap(),
            None
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_that_lived_long_is_no_loop() {
        let (policy, now) = (Restart::default(), Instant::now());
        let mut crashes = Crashes::default();
        for _ in 0..20 {
            crashes.note(crash(now, 3_600), &policy);
            assert!(crashes.next_start(&policy, now).is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn never_means_never() {
        let (policy, now) = (Restart::never(), Instant::now());
        let mut crashes = Crashes::default();
        crashes.note(crash(now, 3_600), &policy);
        let later = now + Duration::from_secs(86_400);
        assert!(crashes.next_start(&policy, later).is_err());
    }
}
