//! Tokens that live as long as the process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{
    Changes, Lease, Save, Saved, StoreError, StoreErrorKind, StoredToken, TokenKey, TokenStore,
};
use crate::MaybeReady;
use crate::store::Revision;
use crate::time::{Instant, SharedClock, SystemClock};

/// How many keys it holds.
const CAPACITY: usize = 100_000;

/// Keeps tokens in memory: for tests, and for programs whose users sign in each time. Clones share
/// what they hold.
#[derive(Clone)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    clock: SharedClock,
}

#[derive(Default)]
struct Inner {
    /// Tells everybody of every change: there is one process, and few wait at a time.
    changed: watch::Sender<()>,
    tokens: HashMap<TokenKey, StoredToken>,
    leases: HashMap<TokenKey, Held>,
    /// One count for all keys: fences of each only grow.
    fence: u64,
}

struct Held {
    fence: u64,
    until: Option<Instant>,
    /// Released; kept for its fence.
    free: bool,
}

impl MemoryStore {
    /// An empty store, for at most 100,000 tokens.
    pub fn new() -> Self {
        Self {
            inner: Arc::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Where the time of leases comes from.
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
        let found = inner.tokens.get(key).map(|stored| stored.revision);
        if !save.expected.is_met_by(found) {
            return Ok(Saved::Conflict);
        }
        if found.is_none() && inner.tokens.len() >= CAPACITY {
            return Err(StoreError::new(StoreErrorKind::Full, "the store is full"));
        }
        let revision = Revision::unique();
        let stored = StoredToken::new(save.token.clone(), save.obtained_at, revision);
        inner.tokens.insert(key.clone(), stored);
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
        MaybeReady::ready(Ok(lock(&self.inner).tokens.get(key).cloned()))
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
