//! A token that could not be stored when it came, stored when the store is back.

use std::pin::pin;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::TokenFetch;
use crate::refresh::engine::FetchContext;
use crate::refresh::flight::race;
use crate::store::{SharedStore, TokenKey};
use crate::time::{Instant, SharedClock};

/// The pause before the first try; it doubles…
const PAUSE: Duration = Duration::from_millis(100);
/// …up to this: whoever is first when the store is back decides which refresh token is used.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// When to leave it to the next refresh.
const PATIENCE: Duration = Duration::from_secs(3600);
/// The lease of one try, and the time for it.
const LEASE: Duration = Duration::from_secs(30);

/// Tries at a time in this process: when a store is back, all whose tokens ended meanwhile want to
/// store theirs.
static TURNS: Semaphore = Semaphore::const_new(16);

impl TokenFetch {
    /// Stores what is held as soon as that works: in a task of its own, like the fetch before it,
    /// since with whoever waits for it the login would be lost. It ends when the token is stored,
    /// when another has taken its place, or an hour after the last that could not be stored.
    pub(super) fn save_late(&self, store: &SharedStore, key: &TokenKey, clock: &SharedClock) {
        // A fetch that is dropped with its runtime begins nothing.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let until = clock.now() + PATIENCE;
        if self.latest().saving.replace(until).is_some() {
            return;
        }
        let (this, store, key) = (self.clone(), SharedStore::clone(store), key.clone());
        let clock = SharedClock::clone(clock);
        runtime.spawn(async move {
            let mut saving = Saving(Some(&this));
            let mut pause = PAUSE;
            loop {
                let jittered = pause.mul_f64(0.5 + fastrand::f64());
                clock.sleep_until(clock.now() + jittered).await;
                pause = (pause * 2).min(PAUSE_MAX);
                match saving.state(clock.now()) {
                    State::Going => {}
                    State::Stored => return,
                    State::GivenUp => {
                        return tracing::warn!(server = %key.server(), "token_not_stored");
                    }
                }
                // Never closed.
                let _turn = TURNS.acquire().await;
                let limit = clock.sleep_until(clock.now() + LEASE);
                race(pin!(this.try_late(&store, &key, &clock)), limit).await;
            }
        });
    }

    async fn try_late(&self, store: &SharedStore, key: &TokenKey, clock: &SharedClock) {
        let Ok(Some(lease)) = store.lease(key, LEASE).await else {
            return;
        };
        // Somebody's refresh that came first counts, as it does in any fetch.
        let context = FetchContext {
            clock: SharedClock::clone(clock),
            deadline: clock.now() + LEASE,
            refused: None,
            scopes: Vec::new(),
        };
        let _tried = self.store_held(store, key, &lease, &context).await;
        let _ends_by_itself = store.release(key, lease).await;
    }
}

/// Makes room for the next who cannot store.
struct Saving<'a>(Option<&'a TokenFetch>);

enum State {
    Going,
    /// Or there is nothing any more.
    Stored,
    GivenUp,
}

impl Saving<'_> {
    /// Looks, and makes room where it is over, in one step: whoever comes with another token is
    /// either seen here, or sees that nobody stores.
    fn state(&mut self, now: Instant) -> State {
        let Some(fetch) = self.0 else {
            return State::Stored;
        };
        let mut latest = fetch.latest();
        let unsaved = latest.held.as_ref().is_some_and(|held| !held.saved);
        let state = match latest.saving {
            Some(until) if unsaved && now < until => return State::Going,
            _ if unsaved => State::GivenUp,
            _ => State::Stored,
        };
        latest.saving = None;
        self.0 = None;
        state
    }
}

impl Drop for Saving<'_> {
    fn drop(&mut self) {
        if let Some(fetch) = self.0 {
            fetch.latest().saving = None;
        }
    }
}

/// The time in which a fetch stores its token. Cut off meanwhile, it leaves that to a task.
pub(super) struct Storing<'a> {
    fetch: &'a TokenFetch,
    store: &'a SharedStore,
    key: &'a TokenKey,
    clock: &'a SharedClock,
    ended: bool,
}

impl<'a> Storing<'a> {
    pub(super) fn new(
        fetch: &'a TokenFetch,
        store: &'a SharedStore,
        key: &'a TokenKey,
        clock: &'a SharedClock,
    ) -> Self {
        Self {
            fetch,
            store,
            key,
            clock,
            ended: false,
        }
    }

    /// However it ended, it was not cut off.
    pub(super) fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Storing<'_> {
    fn drop(&mut self) {
        if !self.ended && self.fetch.held().is_some_and(|held| !held.saved) {
            self.fetch.save_late(self.store, self.key, self.clock);
        }
    }
}
