//! Settings of a cache.

use std::sync::Arc;
use std::time::Duration;

use mcp_core::auth::time::{SharedClock, SystemClock};
use mcp_core::replicas::{CatalogStore, InvalidationBus};

use crate::ToolCache;

/// How long a set is kept where nobody says less.
const DEFAULT_TTL: Duration = Duration::from_secs(5 * 60);

const DEFAULT_NEGATIVE_TTL: Duration = Duration::from_secs(1);

/// A failure is remembered for a moment, not for a while: whoever mends a server wants to see it.
const LONGEST_NEGATIVE_TTL: Duration = Duration::from_secs(60);

const DEFAULT_AWAY_TTL: Duration = Duration::from_secs(10);

const DEFAULT_CAPACITY: u64 = 10_000;

/// Settings of a [`ToolCache`].
#[derive(Clone, Debug)]
pub struct ToolCacheBuilder {
    pub(crate) ttl: Duration,
    pub(crate) negative_ttl: Duration,
    pub(crate) grace: Duration,
    pub(crate) capacity: u64,
    pub(crate) clock: SharedClock,
    pub(crate) bus: Option<Arc<dyn InvalidationBus>>,
    pub(crate) away_ttl: Duration,
    pub(crate) catalog: Option<Arc<dyn CatalogStore>>,
}

impl ToolCacheBuilder {
    pub(crate) fn new() -> Self {
        Self {
            ttl: DEFAULT_TTL,
            negative_ttl: DEFAULT_NEGATIVE_TTL,
            grace: Duration::ZERO,
            capacity: DEFAULT_CAPACITY,
            clock: Arc::new(SystemClock),
            bus: None,
            away_ttl: DEFAULT_AWAY_TTL,
            catalog: None,
        }
    }

    /// How long a set is kept at most. Default 5 minutes.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long it is remembered that a server could not be reached or broke the protocol, so that
    /// many callers do not try one after another. Default one second, at most a minute; zero is not
    /// at all. A refusal (401, 403) is never remembered.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.negative_ttl = ttl.min(LONGEST_NEGATIVE_TTL);
        self
    }

    /// For how long a set whose time is over is given all the same, while it is refreshed in the
    /// background. Default zero: not at all.
    ///
    /// Nothing outlives the credentials that it was loaded with, and what a server vouches for no
    /// time at all (`ttlMs` 0) is not given stale. One refresh runs for each key, sixteen for the
    /// cache, each for at most 30 s; they are the cache's own and end with its last handle. A refresh
    /// that fails leaves the set as it is and is tried again after 5 s; one that is refused takes the
    /// set away.
    pub fn stale_while_revalidate(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How many sets are kept. Default 10,000. Those that are seldom asked for go first.
    pub fn capacity(mut self, sets: u64) -> Self {
        self.capacity = sets;
        self
    }

    /// Another source of time.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// Tells the other replicas what this cache forgets, and forgets what they tell: one principal's
    /// logout or refusal, a server's changed tools. Default: nobody is told.
    ///
    /// Not told is what one replica does for itself: sets that are over, want of room,
    /// [`CacheMode::Refresh`](crate::CacheMode::Refresh). A tool whose definition changed between
    /// two loads with the same credentials makes all forget what they have of its server.
    ///
    /// One task listens, from when the cache is made, or first asked for something it has not,
    /// within a runtime. It is the cache's own and ends with its last handle. Where something may
    /// have been missed, everything is dropped.
    pub fn bus(mut self, bus: Arc<dyn InvalidationBus>) -> Self {
        self.bus = Some(bus);
        self
    }

    /// How long a set is kept while the [bus](Self::bus) is away, [stale](Self::stale_while_revalidate)
    /// or not: what was loaded before it went away, from then on; else from when it was loaded.
    /// Default 10 s. [`CacheStats::away`](crate::CacheStats::away) tells that it is so.
    pub fn away_ttl(mut self, ttl: Duration) -> Self {
        self.away_ttl = ttl;
        self
    }

    /// A second level that replicas share: a list that its server calls public and another replica
    /// asked for is taken from there, for as long as the server vouched for it then. Default: none.
    ///
    /// Nothing of one principal's is put there. It is looked into where the server would be asked
    /// otherwise and its last list was not private; a load waits 250 ms for it, each time it asks,
    /// and nobody asks for 5 s after it could not be reached. What is broken, too large (4 MiB) or of
    /// a server at another place is left alone. Whoever can write there says what tools the agents
    /// see.
    ///
    /// An invalidation of a server takes it away there too, and what was asked for before it is not
    /// believed here any more; with a [bus](Self::bus), in no replica, as far as their clocks agree.
    /// [`CacheMode::Refresh`](crate::CacheMode::Refresh) believes nothing that is there.
    pub fn catalog(mut self, catalog: Arc<dyn CatalogStore>) -> Self {
        self.catalog = Some(catalog);
        self
    }

    /// The cache.
    pub fn build(self) -> ToolCache {
        ToolCache::with(self)
    }
}
