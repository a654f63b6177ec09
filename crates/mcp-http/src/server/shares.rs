//! How many requests go to a server at once, and each principal's share of them: one that floods
//! waits for itself, and all of them together open no more connections than they may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_core::auth::Principal;
use mcp_core::{CallContext, Error, Limits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Principals that are remembered before those without a request are forgotten.
const REMEMBERED: usize = 1024;

/// Bounds the requests in flight, of each principal and of all. Who waits is served in the order of
/// coming; nobody has more than its own share in that queue.
#[derive(Debug)]
pub(crate) struct Shares {
    each: usize,
    known: Mutex<Known>,
    all: Semaphore,
}

#[derive(Debug)]
struct Known {
    shares: HashMap<Principal, Arc<Semaphore>>,
    /// How many there are when the idle ones are next forgotten.
    sweep_at: usize,
}

/// A place among the requests in flight, to be held until the answer is read.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    _own: Option<OwnedSemaphorePermit>,
    _any: Option<SemaphorePermit<'a>>,
}

impl Shares {
    /// At least one request for every principal, and one in all.
    pub(crate) fn new(limits: &Limits) -> Self {
        let all = limits.calls_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            each: limits.calls_per_principal.clamp(1, Semaphore::MAX_PERMITS),
            known: Mutex::new(Known {
                shares: HashMap::new(),
                sweep_at: REMEMBERED,
            }),
            all: Semaphore::new(all),
        }
    }

    /// A place for one of the principal's requests. Waits only when all are taken, within the
    /// context's deadline; costs no allocation otherwise.
    pub(crate) async fn place(&self, context: &CallContext) -> Result<Place<'_>, Error> {
        let share = self.of(&context.principal);
        // Neither is ever closed.
        let own = match Arc::clone(&share).try_acquire_owned() {
            Ok(own) => Some(own),
            Err(_) => {
                let during = "waiting for its turn (limit `calls_per_principal`)";
                let turn = async { Ok(share.acquire_owned().await.ok()) };
                Box::pin(context.bound(Duration::MAX, during, turn)).await?
            }
        };
        let mut place = self.place_among_all(context).await?;
        place._own = own;
        Ok(place)
    }

    /// A place for a request that the principal's other requests wait for, such as a handshake.
    pub(crate) async fn place_among_all(&self, context: &CallContext) -> Result<Place<'_>, Error> {
        let any = match self.all.try_acquire() {
            Ok(any) => Some(any),
            Err(_) => {
                let during = "waiting for its turn (limit `calls_in_flight`)";
                let turn = async { Ok(self.all.acquire().await.ok()) };
                Box::pin(context.bound(Duration::MAX, during, turn)).await?
            }
        };
        Ok(Place {
            _own: None,
            _any: any,
        })
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
        let shares = Shares::new(&Limits::default());
        let name = |n: usize| Principal::new(format!("u{n}")).unwrap();
        let context = |n| CallContext::new(name(n));
        let first = context(0);
        let busy = shares.place(&first).await.unwrap();
        for n in 1..10 * REMEMBERED {
            drop(shares.place(&context(n)).await.unwrap());
        }
        let known = shares.known.lock().unwrap();
        assert!(known.shares.len() <= REMEMBERED);
        assert!(known.shares.contains_key(&name(0)));
        drop(busy);
    }
}
