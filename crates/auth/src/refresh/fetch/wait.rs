//! Waiting for another process to be done, or for a store to be back.

use std::pin::pin;
use std::time::Duration;

use crate::refresh::engine::FetchContext;
use crate::refresh::flight::race;
use crate::store::{Changes, SharedStore, TokenKey};
use crate::time::Instant;

/// How often to look whether the process that has the lease is done: at first after this…
const POLL: Duration = Duration::from_millis(20);
/// …then after twice as long each time, up to this…
const POLL_MAX: Duration = Duration::from_millis(320);
/// …and where the store tells of changes, only in case that it does not.
const POLL_TOLD: Duration = Duration::from_secs(1);
/// The pause before a store that does not answer is asked again; it doubles…
const AWAY: Duration = Duration::from_millis(50);
/// …up to this.
const AWAY_MAX: Duration = Duration::from_secs(1);
/// A fetch stops waiting for a store this long before it would be cut off, to say why it failed.
const LAST_WORD: Duration = Duration::from_millis(500);

/// How long to wait before the next try.
pub(super) struct Wait {
    poll: Duration,
    away: Duration,
    changes: Option<Changes>,
    last_word: Duration,
}

impl Wait {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            poll: POLL,
            away: AWAY,
            changes: None,
            last_word: LAST_WORD.min(patience / 4),
        }
    }

    /// When to stop waiting, to say why.
    pub(super) fn limit(&self, context: &FetchContext) -> Instant {
        context.deadline - self.last_word
    }

    /// Until whoever has the lease may be done. The engine's deadline ends the waiting.
    pub(super) async fn for_another(
        &mut self,
        store: &SharedStore,
        key: &TokenKey,
        context: &FetchContext,
    ) {
        let Some(changes) = &mut self.changes else {
            // What changed before this is not told: look once more.
            self.changes = Some(store.changes(key).await);
            return;
        };
        if !changes.are_told() {
            return self.a_moment(context).await;
        }
        let pause = POLL_TOLD.mul_f64(0.5 + fastrand::f64());
        let limit = context.clock.sleep_until(context.clock.now() + pause);
        race(pin!(changes.next()), limit).await;
    }

    /// A little longer each time.
    pub(super) async fn a_moment(&mut self, context: &FetchContext) {
        let pause = self.poll.mul_f64(0.5 + fastrand::f64());
        self.poll = (self.poll * 2).min(POLL_MAX);
        context.clock.sleep_until(context.clock.now() + pause).await;
    }

    /// Until the store may be back; `false` when there is no time for another try.
    pub(super) async fn for_the_store(&mut self, context: &FetchContext) -> bool {
        let pause = self.away.mul_f64(0.5 + fastrand::f64());
        self.away = (self.away * 2).min(AWAY_MAX);
        let next = context.clock.now() + pause;
        if next >= self.limit(context) {
            return false;
        }
        context.clock.sleep_until(next).await;
        true
    }
}
