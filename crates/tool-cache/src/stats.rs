//! What a cache has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the cache was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Answers that were there.
    pub hits: u64,
    /// Answers that were not, those that waited for somebody else's load among them.
    pub misses: u64,
    /// Answers made of a list that its server calls public, without asking the server.
    pub shared: u64,
    /// Lists asked of servers.
    pub loads: u64,
    /// Lists that could not be had.
    pub failures: u64,
    /// Sets dropped for want of room.
    pub evictions: u64,
    /// Sets that are kept now, as far as is known; those past their time may be among them.
    pub entries: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) shared: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) evictions: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self, entries: u64) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            shared: self.shared.load(Ordering::Relaxed),
            loads: self.loads.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            entries,
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
