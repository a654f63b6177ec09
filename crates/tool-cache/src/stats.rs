//! What a cache has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the cache was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Answers that were there and fresh.
    pub hits: u64,
    /// Those of the hits that were failures, remembered for a moment.
    pub negative_hits: u64,
    /// Answers that were past their time and given all the same.
    pub stale: u64,
    /// Answers that were not there.
    pub misses: u64,
    /// Those of the misses that waited for somebody else's load.
    pub waits: u64,
    /// Answers of servers that the cache was told to stay out of.
    pub bypasses: u64,
    /// Answers made of a list that its server calls public, without asking the server.
    pub shared: u64,
    /// Lists found in the [catalog](crate::ToolCacheBuilder::catalog) that replicas share.
    pub found: u64,
    /// Lists asked of servers.
    pub loads: u64,
    /// Lists that could not be had.
    pub failures: u64,
    /// Lists asked of servers in the background, failed ones among them.
    pub refreshes: u64,
    /// Sets dropped by an invalidation.
    pub invalidations: u64,
    /// Sets dropped for want of room.
    pub evictions: u64,
    /// Invalidations that were told to other replicas.
    pub announced: u64,
    /// Invalidations that other replicas told.
    pub heard: u64,
    /// Times that invalidations of other replicas may have been missed, and everything was dropped.
    pub gaps: u64,
    /// Whether other replicas cannot be heard now, so that sets are kept for a short time only.
    pub away: bool,
    /// Sets that are kept now, as far as is known; those past their time may be among them.
    pub entries: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: AtomicU64,
    pub(crate) negative_hits: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) waits: AtomicU64,
    pub(crate) bypasses: AtomicU64,
    pub(crate) refreshes: AtomicU64,
    pub(crate) invalidations: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) shared: AtomicU64,
    pub(crate) found: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) evictions: AtomicU64,
    pub(crate) announced: AtomicU64,
    pub(crate) heard: AtomicU64,
    pub(crate) gaps: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self, entries: u64, away: bool) -> CacheStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStats {
            hits: read(&self.hits),
            negative_hits: read(&self.negative_hits),
            stale: read(&self.stale),
            misses: read(&self.misses),
            waits: read(&self.waits),
            bypasses: read(&self.bypasses),
            shared: read(&self.shared),
            found: read(&self.found),
            loads: read(&self.loads),
            failures: read(&self.failures),
            refreshes: read(&self.refreshes),
            invalidations: read(&self.invalidations),
            evictions: read(&self.evictions),
            announced: read(&self.announced),
            heard: read(&self.heard),
            gaps: read(&self.gaps),
            away,
            entries,
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
