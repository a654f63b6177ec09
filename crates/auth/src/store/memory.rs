//! Tokens that live as long as the process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::{
    Changes, Lease, Save, Saved, StoreError, StoreErrorKind, StoredToken, TokenKey, TokenStore,
};
use crate::store::Revision;
use crate::time::{Instant, SharedClock, SystemClock};
use crate::{Expiry, MaybeReady, Token};

/// How many keys it holds.
const CAPACITY: usize = 100_000;

/// Keeps tokens in memory: for tests, and for programs whose users sign in each time. Clones share
/// what they hold.
///
/// When it is full, tokens make room that have ended and cannot be renewed, and if that is not enough
/// the eighth that was read or written longest ago, as if their users had logged out.
#[derive(Clone)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    capacity: usize,
    clock: SharedClock,
}

#[derive(Default)]
struct Inner {
    /// Tells everybody of every change: there is one process, and few wait at a time.
    changed: watch::Sender<()>,
    tokens: HashMap<TokenKey, Kept>,
    /// Counts uses of all tokens: the lowest is the longest ago.
    uses: u64,
    leases: HashMap<TokenKey, Held>,
    /// One count for all keys: fences of each only grow.
    fence: u64,
}

struct Kept {
    stored: StoredToken,
    used: u64,
}

struct Held {
    fence: u64,
    until: Option<Instant>,
    /// Released; kept for its fence.
    free: bool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            inner: Arc::default(),
            capacity: CAPACITY,
            clock: Arc::new(SystemClock),
        }
    }

    /// How many tokens it holds at most. Default 100,000; at least one. A user of
    /// `OAuth` takes two: the token, and what is known of the account.
    pub fn capacity(mut self, tokens: usize) -> Self {
        self.capacity = tokens.max(1);
        self
    }

    /// Where the time of leases, and of the ends of tokens, comes from.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    fn write(&self, key: &TokenKey, save: Save<'_>) -> Result<Saved, StoreError> {
        let mut inner = lock(&self.inner);
        if let (Some(lease), Some(latest)) = (save.lease, inner.leases.get(key))
            && lease.fence() < latest.fence
        {
            return Err(StoreError::new(
                StoreErrorKind::LeaseLost,
                "the lease was given to somebody else",
            ));
        }
        let found = inner.tokens.get(key).map(|kept| kept.stored.revision);
        if !save.expected.is_met_by(found) {
            return Ok(Saved::Conflict);
        }
        if found.is_none() && inner.tokens.len() >= self.capacity {
            inner.make_room(self.capacity, self.clock.wall());
        }
        let revision = Revision::unique();
        let stored = StoredToken::new(save.token.clone(), save.obtained_at, revision);
        let used = inner.use_now();
        inner.tokens.insert(key.clone(), Kept { stored, used });
        inner.changed.send_replace(());
        Ok(Saved::Stored(revision))
    }

    fn take(&self, key: &TokenKey, life: Duration) -> Option<Lease> {
        let now = self.clock.now();
        let mut inner = lock(&self.inner);
        if let Some(held) = inner.leases.get(key)
            && !held.free
            && held.until.is_none_or(|until| now < until)
        {
            return None;
        }
        if inner.leases.len() >= CAPACITY {
            inner.leases.retain(|_, held| !held.free);
        }
        inner.fence += 1;
        let fence = inner.fence;
        let until = now.checked_add(life);
        inner.leases.insert(
            key.clone(),
            Held {
                fence,
                until,
                free: false,
            },
        );
        Some(Lease::new(fence).with_guard(Guard {
            inner: Arc::clone(&self.inner),
            key: key.clone(),
            fence,
        }))
    }
}

impl Inner {
    fn use_now(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    /// Room for an eighth at least, so that a crowd of new users does not search the whole map each.
    fn make_room(&mut self, capacity: usize, now: SystemTime) {
        self.tokens
            .retain(|_, kept| !is_over(&kept.stored.token, now));
        let most = capacity - (capacity / 8).max(1);
        if self.tokens.len() <= most {
            return;
        }
        let mut uses: Vec<_> = self.tokens.values().map(|kept| kept.used).collect();
        let spare = uses.len() - most;
        // No two uses are alike.
        let (_, &mut newest_to_go, _) = uses.select_nth_unstable(spare - 1);
        self.tokens.retain(|_, kept| kept.used > newest_to_go);
    }
}

/// Whether a token has ended, and nothing can be had with it any more.
fn is_over(token: &Token, now: SystemTime) -> bool {
    let has_ended = matches!(token.expiry(), Expiry::At(end) if end <= now);
    let renewable = token.refresh_token().is_some();
    has_ended && (!renewable || token.refresh_end().is_some_and(|end| end <= now))
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenStore for MemoryStore {
    fn load<'a>(
        &'a self,
        key: &'a TokenKey,
    ) -> MaybeReady<'a, Result<Option<StoredToken>, StoreError>> {
        let mut inner = lock(&self.inner);
        let used = inner.use_now();
        let kept = inner.tokens.get_mut(key);
        MaybeReady::ready(Ok(kept.map(|kept| {
            kept.used = used;
            kept.stored.clone()
        })))
    }

    fn save<'a>(
        &'a self,
        key: &'a TokenKey,
        save: Save<'a>,
    ) -> MaybeReady<'a, Result<Saved, StoreError>> {
        MaybeReady::ready(self.write(key, save))
    }

    fn delete<'a>(&'a self, key: &'a TokenKey) -> MaybeReady<'a, Result<bool, StoreError>> {
        let mut inner = lock(&self.inner);
        let deleted = inner.tokens.remove(key).is_some();
        inner.changed.send_replace(());
        MaybeReady::ready(Ok(deleted))
    }

    fn lease<'a>(
        &'a self,
        key: &'a TokenKey,
        life: Duration,
    ) -> MaybeReady<'a, Result<Option<Lease>, StoreError>> {
        MaybeReady::ready(Ok(self.take(key, life)))
    }

    fn changes<'a>(&'a self, _: &'a TokenKey) -> MaybeReady<'a, Changes> {
        MaybeReady::ready(Changes::told(lock(&self.inner).changed.subscribe()))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("tokens", &lock(&self.inner).tokens.len())
            .finish_non_exhaustive()
    }
}

/// Releases its lease when it is dropped, unless somebody else has a later one.
struct Guard {
    inner: Arc<Mutex<Inner>>,
    key: TokenKey,
    fence: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut inner = lock(&self.inner);
        let ours = |held: &Held| held.fence == self.fence;
        if let Some(held) = inner.leases.get_mut(&self.key).filter(|held| ours(held)) {
            held.free = true;
            inner.changed.send_replace(());
        }
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}
