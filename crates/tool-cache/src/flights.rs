//! Loads under way, so that an invalidation reaches them too.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_core::auth::time::Instant;
use parking_lot::Mutex;

use crate::CacheKey;

/// Whether what was loaded may be given to others. Shared by a load and the entry it makes, so that
/// there is no moment at which an entry exists and cannot be voided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Validity(Arc<State>);

#[derive(Debug, Default)]
struct State {
    void: AtomicBool,
    /// Until then nobody refreshes it: somebody is at it, or has just failed.
    no_refresh_before: Mutex<Option<Instant>>,
}

impl Validity {
    pub(crate) fn void(&self) {
        self.0.void.store(true, Ordering::Release);
    }

    pub(crate) fn holds(&self) -> bool {
        !self.0.void.load(Ordering::Acquire)
    }

    /// Whether the caller is the one who refreshes; for so long at most.
    pub(crate) fn begin_refresh(&self, now: Instant, at_most: Duration) -> bool {
        let mut before = self.0.no_refresh_before.lock();
        if before.is_some_and(|before| now < before) {
            return false;
        }
        *before = now.checked_add(at_most);
        true
    }

    /// Nobody refreshes for so long.
    pub(crate) fn pause_refresh(&self, now: Instant, pause: Duration) {
        *self.0.no_refresh_before.lock() = now.checked_add(pause);
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Every load from its beginning until its entry can be found in the cache.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<InFlight>);

#[derive(Debug, Default)]
struct InFlight {
    next: u64,
    loads: HashMap<u64, (CacheKey, Validity)>,
}

impl Flights {
    pub(crate) fn begin(self: &Arc<Self>, key: &CacheKey) -> Flight {
        let validity = Validity::default();
        let mut flights = self.0.lock();
        let number = flights.next;
        flights.next += 1;
        flights
            .loads
            .insert(number, (key.clone(), validity.clone()));
        Flight {
            flights: Arc::clone(self),
            number,
            validity,
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().loads.is_empty()
    }

    /// Voids every load under way whose key fits.
    pub(crate) fn void(&self, fits: impl Fn(&CacheKey) -> bool) {
        for (key, validity) in self.0.lock().loads.values() {
            if fits(key) {
                validity.void();
            }
        }
    }
}

/// A load under way; dropped when it has ended, however.
#[derive(Debug)]
pub(crate) struct Flight {
    flights: Arc<Flights>,
    number: u64,
    pub(crate) validity: Validity,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.0.lock().loads.remove(&self.number);
    }
}
