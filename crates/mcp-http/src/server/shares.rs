//! How many requests go to a server at once, and each principal's share of them: one that floods
//! waits for itself, and all of them together open no more connections than they may.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_core::auth::Principal;
use mcp_core::duplex::{InputHandler, InputRequest};
use mcp_core::{BoxFuture, CallContext, Error, Limits};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

/// Principals that are remembered before those without a request are forgotten.
const REMEMBERED: usize = 1024;

/// Bounds the requests in flight, of each principal and of all. Who waits is served in the order of
/// coming; nobody has more than its own share in that queue.
#[derive(Debug)]
pub(crate) struct Shares {
    each: usize,
    known: Mutex<Known>,
    all: Places,
}

#[derive(Debug)]
struct Known {
    shares: HashMap<Principal, Arc<Places>>,
    /// How many there are when the idle ones are next forgotten.
    sweep_at: usize,
}

/// A number of places, and as many more as are lent for a while.
#[derive(Debug)]
struct Places {
    free: Semaphore,
    /// How many may be lent, and are not.
    to_lend: AtomicUsize,
    /// What was lent, has been given back, and was taken at that time: the next ones to come free are
    /// not handed on.
    owed: AtomicUsize,
}

/// A place among the requests in flight, to be held until the answer is read.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    own: Option<Arc<Places>>,
    all: &'a Places,
}

/// One place more, of the principal's and of all, while the server waits for an answer of ours: who
/// answers may call the same server, and the call that led to the question keeps its own place.
#[derive(Debug)]
pub(crate) struct Loan<'a> {
    own: Option<Arc<Places>>,
    all: Option<&'a Places>,
}

impl Shares {
    /// At least one request for every principal, and one in all.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            each: limits.calls_per_principal,
            known: Mutex::new(Known {
                shares: HashMap::new(),
                sweep_at: REMEMBERED,
            }),
            all: Places::new(limits.calls_in_flight),
        }
    }

    /// A place for one of the principal's requests. Waits only when all are taken, within the
    /// context's deadline; costs no allocation otherwise.
    pub(crate) async fn place(&self, context: &CallContext) -> Result<Place<'_>, Error> {
        let share = self.of(&context.principal);
        let during = "waiting for its turn (limit `calls_per_principal`)";
        share.take(context, during).await?;
        // From here on dropping it gives the place back.
        let own = Own(Some(share));
        let place = self.place_among_all(context).await?;
        Ok(own.into(place))
    }

    /// A place for a request that the principal's other requests wait for, such as a handshake.
    pub(crate) async fn place_among_all(&self, context: &CallContext) -> Result<Place<'_>, Error> {
        let during = "waiting for its turn (limit `calls_in_flight`)";
        self.all.take(context, during).await?;
        Ok(Place {
            own: None,
            all: &self.all,
        })
    }

    /// Lends a place until the loan is dropped; at most as many at a time as there are places, so
    /// that a server cannot raise the bound by asking.
    pub(crate) fn lend(&self, principal: &Principal) -> Loan<'_> {
        let share = self.of(principal);
        Loan {
            own: share.lend().then_some(share),
            all: self.all.lend().then_some(&self.all),
        }
    }

    fn of(&self, principal: &Principal) -> Arc<Places> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = known.shares.get(principal) {
            return Arc::clone(share);
        }
        if known.shares.len() >= known.sweep_at {
            known.shares.retain(|_, share| Arc::strong_count(share) > 1);
            // Each sweep is paid for by as many newcomers as it looked at.
            known.sweep_at = known.shares.len().saturating_mul(2).max(REMEMBERED);
        }
        let share = Arc::new(Places::new(self.each));
        known.shares.insert(principal.clone(), Arc::clone(&share));
        share
    }
}

impl Places {
    fn new(count: usize) -> Self {
        // Room for as many again.
        let count = count.clamp(1, Semaphore::MAX_PERMITS / 2);
        Self {
            free: Semaphore::new(count),
            to_lend: AtomicUsize::new(count),
            owed: AtomicUsize::new(0),
        }
    }

    async fn take(&self, context: &CallContext, during: &'static str) -> Result<(), Error> {
        // It is never closed.
        if let Ok(taken) = self.free.try_acquire() {
            taken.forget();
            return Ok(());
        }
        let turn = async {
            if let Ok(taken) = self.free.acquire().await {
                taken.forget();
            }
            Ok(())
        };
        // Rare, and large.
        Box::pin(context.bound(Duration::MAX, during, turn)).await
    }

    fn give_back(&self) {
        if !less_one(&self.owed) {
            self.free.add_permits(1);
        }
    }

    fn lend(&self) -> bool {
        let lent = less_one(&self.to_lend);
        if lent {
            self.free.add_permits(1);
        }
        lent
    }

    fn end_loan(&self) {
        if self.free.forget_permits(1) == 0 {
            self.owed.fetch_add(1, Ordering::Relaxed);
        }
        self.to_lend.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether there was one to take away.
fn less_one(count: &AtomicUsize) -> bool {
    let less = |count: usize| count.checked_sub(1);
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}

/// A place of the principal's own.
struct Own(Option<Arc<Places>>);

impl Own {
    fn into(mut self, mut place: Place<'_>) -> Place<'_> {
        place.own = self.0.take();
        place
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(own) = &self.0 {
            own.give_back();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            own.give_back();
        }
        self.all.give_back();
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            own.end_loan();
        }
        if let Some(all) = self.all {
            all.end_loan();
        }
    }
}

/// A handler whose principal has a place more while it answers.
#[derive(Debug)]
pub(crate) struct Lending {
    pub(crate) handler: Arc<dyn InputHandler>,
    pub(crate) shares: Arc<Shares>,
}

impl InputHandler for Lending {
    fn capabilities(&self) -> Value {
        self.handler.capabilities()
    }

    fn answer<'a>(
        &'a self,
        request: InputRequest<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let _loan = self.shares.lend(&context.principal);
            self.handler.answer(request, context).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(n: usize) -> CallContext {
        let name = Principal::new(format!("u{n}")).unwrap();
        CallContext::new(name).with_timeout(Duration::from_secs(1))
    }

    #[tokio::test]
    async fn who_has_no_request_is_forgotten() {
        let shares = Shares::new(&Limits::default());
        let first = context(0);
        let busy = shares.place(&first).await.unwrap();
        for n in 1..10 * REMEMBERED {
            drop(shares.place(&context(n)).await.unwrap());
        }
        let known = shares.known.lock().unwrap();
        assert!(known.shares.len() <= REMEMBERED);
        assert!(known.shares.contains_key(&first.principal));
        drop(busy);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_lent_comes_back() {
        let mut limits = Limits::default();
        (limits.calls_per_principal, limits.calls_in_flight) = (1, 1);
        let shares = Shares::new(&limits);
        let context = context(0);
        let first = shares.place(&context).await.unwrap();
        assert!(shares.place(&context).await.is_err());
        let loan = shares.lend(&context.principal);
        let second = shares.place(&context).await.unwrap();
        // As many again, and no more.
        let none = shares.lend(&context.principal);
        assert!(shares.place(&context).await.is_err());
        drop(none);
        // Given back while it is taken: the next one that comes free is not handed on.
        drop(loan);
        drop(second);
        assert!(shares.place(&context).await.is_err());
        drop(first);
        let again = shares.place(&context).await.unwrap();
        assert!(shares.place(&context).await.is_err());
        drop(again);
        let loan = shares.lend(&context.principal);
        drop(loan);
        let _only = shares.place(&context).await.unwrap();
        assert!(shares.place(&context).await.is_err());
    }
}
