//! What each principal has with a server: a session, or an open stream.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use mcp_core::ErrorKind;
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
    failure: Mutex<Option<Fault>>,
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
    /// half-way, or ended by its own caller's deadline, is taken over by the next one.
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
            && let Some(fault) = slot.failure().clone()
        {
            return Err(fault);
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
                let own = [ErrorKind::Timeout, ErrorKind::Cancelled];
                if !own.contains(&fault.error().kind()) {
                    *slot.failure() = Some(fault.clone());
                    slot.failures.fetch_add(1, Ordering::Release);
                }
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
    fn failure(&self) -> std::sync::MutexGuard<'_, Option<Fault>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_core::{CallContext, Failure};

    const SECOND: Duration = Duration::from_secs(1);

    /// Opens within the time that its caller has; nothing comes of it before ten seconds.
    async fn open(slots: &Slots<u8>, seconds: u32) -> Result<u8, ErrorKind> {
        let context = CallContext::default().with_timeout(SECOND * seconds);
        let opening = || async {
            let slow = async {
                tokio::time::sleep(SECOND * 10).await;
                Ok(7)
            };
            Ok(context.bound(Duration::MAX, "a test", slow).await?)
        };
        let opened = slots.usable(&context.principal, |_| true, opening).await;
        opened
            .map(|value| *value)
            .map_err(|fault| fault.error().kind())
    }

    #[tokio::test(start_paused = true)]
    async fn a_hasty_caller_does_not_speak_for_a_patient_one() {
        let slots = Slots::new(1);
        let (hasty, patient) = tokio::join!(open(&slots, 1), open(&slots, 60));
        assert_eq!(hasty, Err(ErrorKind::Timeout));
        assert_eq!(patient, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_of_the_server_is_everybodys() {
        let slots: Slots<u8> = Slots::new(1);
        let opened = std::sync::atomic::AtomicU8::new(0);
        let fail = async || {
            let principal = Principal::local();
            let opening = || async {
                opened.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(SECOND).await;
                let status = http::StatusCode::METHOD_NOT_ALLOWED;
                Err::<u8, Fault>(Fault::Status(status, Failure::SessionLost.into()))
            };
            // The fault itself: what is tried next depends on it.
            let opened = slots.usable(&principal, |_| true, opening).await;
            opened.is_err_and(|fault| fault.is_no_endpoint())
        };
        assert_eq!(tokio::join!(fail(), fail()), (true, true));
        assert_eq!(opened.into_inner(), 1);
    }
}
