//! What each principal has with a server: a session, or an open stream.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use mcp_core::Error;
use mcp_core::auth::Principal;

use super::fault::Fault;

/// What nobody uses is dropped after this; servers forget sessions too.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// One value per principal, opened when it is first wanted; bounded in number and idle time.
#[derive(Debug)]
pub(crate) struct Slots<V: Debug + Send + Sync + 'static>(
    moka::sync::Cache<Principal, Arc<Slot<V>>>,
);

#[derive(Debug)]
struct Slot<V> {
    current: ArcSwapOption<V>,
    /// Held by whoever opens; the others wait for what comes of it.
    opening: tokio::sync::Mutex<()>,
    /// Counts failed openings, so that who waited for one shares its error.
    failures: AtomicU64,
    failure: Mutex<Option<Error>>,
}

impl<V> Default for Slot<V> {
    fn default() -> Self {
        Self {
            current: ArcSwapOption::empty(),
            opening: tokio::sync::Mutex::default(),
            failures: AtomicU64::new(0),
            failure: Mutex::default(),
        }
    }
}

impl<V: Debug + Send + Sync + 'static> Slots<V> {
    /// Room for `limit` principals; past it, who was idle longest makes way.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        Self(
            moka::sync::Cache::builder()
                .max_capacity(limit)
                .time_to_idle(IDLE)
                .build(),
        )
    }

    /// As [`new`](Self::new), for what is used without being asked for.
    pub(crate) fn lasting(limit: usize) -> Self {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        Self(moka::sync::Cache::new(limit))
    }

    /// The principal's value if it is usable, or a new one. Whoever comes first opens it, and who
    /// comes meanwhile shares what comes of that, an error as well. An opening that is dropped
    /// half-way is taken over by the next one.
    pub(crate) async fn usable<F>(
        &self,
        principal: &Principal,
        is_usable: impl Fn(&Arc<V>) -> bool,
        open: impl FnOnce() -> F,
    ) -> Result<Arc<V>, Fault>
    where
        F: Future<Output = Result<V, Fault>>,
    {
        let slot = self.0.get_with_by_ref(principal, Arc::default);
        let current = || slot.current.load_full().filter(|value| is_usable(value));
        if let Some(value) = current() {
            return Ok(value);
        }
        let failures = slot.failures.load(Ordering::Acquire);
        let _opening = slot.opening.lock().await;
        if let Some(value) = current() {
            return Ok(value);
        }
        if slot.failures.load(Ordering::Acquire) != failures
            && let Some(error) = slot.failure().clone()
        {
            return Err(error.into());
        }
        // Rare and large.
        match Box::pin(open()).await {
            Ok(value) => {
                let value = Arc::new(value);
                slot.current.store(Some(Arc::clone(&value)));
                Ok(value)
            }
            Err(fault) => {
                slot.current.store(None);
                *slot.failure() = Some(fault.error().clone());
                slot.failures.fetch_add(1, Ordering::Release);
                Err(fault)
            }
        }
    }

    /// All who have a value, or had one a moment ago.
    pub(crate) fn principals(&self) -> Vec<Principal> {
        self.0
            .iter()
            .map(|(principal, _)| Principal::clone(&principal))
            .collect()
    }

    /// Takes the principal's value away.
    pub(crate) fn remove(&self, principal: &Principal) -> Option<Arc<V>> {
        self.0.remove(principal)?.current.swap(None)
    }
}

impl<V> Slot<V> {
    fn failure(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
