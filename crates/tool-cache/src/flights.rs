//! Loads under way, so that an invalidation reaches them too.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::CacheKey;

/// Whether what was loaded may be given to others. Shared by a load and the entry it makes, so that
/// there is no moment at which an entry exists and cannot be voided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Validity(Arc<AtomicBool>);

impl Validity {
    pub(crate) fn void(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn holds(&self) -> bool {
        !self.0.load(Ordering::Acquire)
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
