//! A token that could not be stored when it came, stored when the store is back.

use std::time::Duration;

use super::TokenFetch;
use crate::refresh::engine::FetchContext;
use crate::store::{SharedStore, TokenKey};
use crate::time::SharedClock;

/// The pause before the first try; it doubles…
const PAUSE: Duration = Duration::from_millis(100);
/// …up to this: whoever is first when the store is back decides which refresh token is used.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// When to leave it to the next refresh.
const PATIENCE: Duration = Duration::from_secs(3600);
/// The lease of one try.
const LEASE: Duration = Duration::from_secs(30);

impl TokenFetch {
    /// Stores what is held as soon as that works: in a task of its own, like the fetch before it,
    /// since with whoever waits for it the login would be lost. It ends when the token is stored,
    /// when another has taken its place, or after an hour.
    pub(super) fn save_late(&self, store: &SharedStore, key: &TokenKey, clock: &SharedClock) {
        if std::mem::replace(&mut self.latest().saving, true) {
            return;
        }
        let (this, store, key) = (self.clone(), SharedStore::clone(store), key.clone());
        let clock = SharedClock::clone(clock);
        tokio::spawn(async move {
            let _saving = Saving(&this);
            let end = clock.now() + PATIENCE;
            let mut pause = PAUSE;
            while clock.now() < end {
                clock.sleep_until(clock.now() + pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                if this.held().is_none_or(|held| held.saved) {
                    return;
                }
                this.try_late(&store, &key, &clock).await;
            }
            tracing::warn!(server = %key.server(), "token_not_stored");
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
struct Saving<'a>(&'a TokenFetch);

impl Drop for Saving<'_> {
    fn drop(&mut self) {
        self.0.latest().saving = false;
    }
}
