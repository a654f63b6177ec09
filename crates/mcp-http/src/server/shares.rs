//! Each principal's share of a server: one that floods waits for itself, and for nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mcp_core::auth::Principal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Principals that are remembered before those without a request are forgotten.
const REMEMBERED: usize = 1024;

/// Bounds the requests in flight of each principal. Who waits is served in the order of coming.
#[derive(Debug)]
pub(crate) struct Shares {
    each: usize,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    shares: HashMap<Principal, Arc<Semaphore>>,
    /// How many there are when the idle ones are next forgotten.
    sweep_at: usize,
}

impl Shares {
    /// `each` requests for every principal; at least one.
    pub(crate) fn new(each: usize) -> Self {
        Self {
            each: each.clamp(1, Semaphore::MAX_PERMITS),
            known: Mutex::new(Known {
                shares: HashMap::new(),
                sweep_at: REMEMBERED,
            }),
        }
    }

    /// A place among the principal's requests, to be held until the answer is read. Waits only when
    /// all are taken; costs no allocation otherwise.
    pub(crate) async fn place(&self, principal: &Principal) -> Option<OwnedSemaphorePermit> {
        let share = self.of(principal);
        match Arc::clone(&share).try_acquire_owned() {
            Ok(place) => Some(place),
            // Rare, and large. It is never closed.
            Err(_) => Box::pin(share.acquire_owned()).await.ok(),
        }
    }

    fn of(&self, principal: &Principal) -> Arc<Semaphore> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = known.shares.get(principal) {
            return Arc::clone(share);
        }
        if known.shares.len() >= known.sweep_at {
            known.shares.retain(|_, share| Arc::strong_count(share) > 1);
            // Each sweep is paid for by as many newcomers as it looked at.
            known.sweep_at = known.shares.len().saturating_mul(2).max(REMEMBERED);
        }
        let share = Arc::new(Semaphore::new(self.each));
        known.shares.insert(principal.clone(), Arc::clone(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_no_request_is_forgotten() {
        let shares = Shares::new(2);
        let name = |n: usize| Principal::new(format!("u{n}")).unwrap();
        let busy = shares.place(&name(0)).await;
        for n in 1..10 * REMEMBERED {
            drop(shares.place(&name(n)).await);
        }
        let known = shares.known.lock().unwrap();
        assert!(known.shares.len() <= REMEMBERED);
        assert!(known.shares.contains_key(&name(0)));
        drop(busy);
    }
}
