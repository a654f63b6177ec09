//! The cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_adapter::{ToolSet, ToolSetBuilder};
use mcp_core::auth::Credentials;
use mcp_core::auth::time::{Instant, SharedClock, SystemClock};
use mcp_core::{CacheScope, CallContext, Error, ErrorKind, Principal, ServerId, ToolListing};
use moka::future::Cache;
use moka::notification::RemovalCause;
use parking_lot::Mutex;

use crate::flights::{Flight, Flights, Validity};
use crate::key::CacheKey;
use crate::stats::{CacheStats, Counters, count};

/// How long a set is kept where nobody says less. Default of [`ToolCacheBuilder::ttl`].
const DEFAULT_TTL: Duration = Duration::from_secs(5 * 60);

/// Default of [`ToolCacheBuilder::capacity`].
const DEFAULT_CAPACITY: u64 = 10_000;

/// Lists that servers call public: one per server.
const PUBLIC_CAPACITY: u64 = 1_000;

/// Sets of tools per server, user and credentials. Cloning copies a pointer.
///
/// An entry ends with the shortest of the configured time, the time that the server vouches for
/// (`ttlMs`; 2026-07-28, server/utilities/caching) and the life of the credentials; with an
/// invalidation; or when room is wanted for others. Callers that want the same key at the same time
/// share one load, its failure too. A load that was under way when its key was invalidated is given
/// to those who waited and not kept.
///
/// A list that its server calls public is used for other principals as well: the definitions, never
/// a binding. It is private where the server does not say so.
#[derive(Clone)]
pub struct ToolCache(Arc<Inner>);

struct Inner {
    entries: Cache<CacheKey, Entry>,
    public: Cache<ServerId, PublicList>,
    flights: Arc<Flights>,
    counters: Arc<Counters>,
    clock: SharedClock,
    ttl: Duration,
    negative_ttl: Duration,
}

#[derive(Clone)]
struct Entry {
    outcome: Result<ToolSet, Error>,
    until: Instant,
    validity: Validity,
}

#[derive(Clone)]
struct PublicList {
    listing: Arc<ToolListing>,
    until: Instant,
    validity: Validity,
}

/// Settings of a [`ToolCache`].
#[derive(Clone, Debug)]
pub struct ToolCacheBuilder {
    ttl: Duration,
    negative_ttl: Duration,
    capacity: u64,
    clock: SharedClock,
}

impl ToolCacheBuilder {
    /// How long a set is kept at most. Default 5 minutes.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long it is remembered that a server could not be reached or broke the protocol, so that
    /// many callers do not try one after another. Default zero: not at all. A refusal (401, 403) is
    /// never remembered.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.negative_ttl = ttl;
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

    /// The cache.
    pub fn build(self) -> ToolCache {
        let counters = Arc::new(Counters::default());
        let evictions = Arc::clone(&counters);
        let entries = Cache::builder()
            .max_capacity(self.capacity)
            // Entries have ends of their own, on a clock of ours; this only gives memory back.
            .time_to_live(self.ttl.max(self.negative_ttl).max(Duration::from_secs(1)))
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    count(&evictions.evictions);
                }
            })
            .build();
        let public = Cache::builder().max_capacity(PUBLIC_CAPACITY).build();
        ToolCache(Arc::new(Inner {
            entries,
            public,
            flights: Arc::default(),
            counters,
            clock: self.clock,
            ttl: self.ttl,
            negative_ttl: self.negative_ttl,
        }))
    }
}

impl ToolCache {
    /// A cache with the default settings.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A cache with other settings.
    pub fn builder() -> ToolCacheBuilder {
        ToolCacheBuilder {
            ttl: DEFAULT_TTL,
            negative_ttl: Duration::ZERO,
            capacity: DEFAULT_CAPACITY,
            clock: Arc::new(SystemClock),
        }
    }

    /// The set that the builder makes for these credentials: from the cache, or else by asking the
    /// builder's server.
    ///
    /// `credentials` are those that the server would be asked with now; they tell whose entry it is
    /// and how long it may live. Dropping the future loses only the wait: a load that others wait
    /// for is taken over by one of them.
    ///
    /// # Errors
    /// Those of [`ToolServer::list_tools`](mcp_core::ToolServer::list_tools) and
    /// [`ToolSetBuilder::build`].
    pub async fn get_or_load(
        &self,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
        context: &CallContext,
    ) -> Result<ToolSet, Error> {
        let list = || builder.server().list_tools(context);
        self.get_or_load_with(builder, credentials, list).await
    }

    /// [`get_or_load`](Self::get_or_load) with a way of your own to get the list.
    ///
    /// # Errors
    /// Those of `list` and of [`ToolSetBuilder::build`].
    pub async fn get_or_load_with<F, Fut>(
        &self,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
        list: F,
    ) -> Result<ToolSet, Error>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<ToolListing, Error>>,
    {
        let key = CacheKey::of(builder, credentials);
        if let Some(set) = self.peek(&key, builder).await {
            count(&self.0.counters.hits);
            return set;
        }
        count(&self.0.counters.misses);
        loop {
            let flight: Mutex<Option<Flight>> = Mutex::new(None);
            let load = async {
                let begun = self.0.flights.begin(&key);
                let validity = begun.validity.clone();
                *flight.lock() = Some(begun);
                self.load(builder, credentials, validity, &list).await
            };
            let now = self.0.clock.now();
            let stale = |entry: &Entry| !entry.usable(now, builder);
            let selector = self.0.entries.entry_by_ref(&key);
            let entry = selector.or_insert_with_if(load, stale).await.into_value();
            // From here on an invalidation finds the entry itself.
            let loaded = flight.into_inner().is_some();
            self.forget_if_over(&key, &entry).await;
            match &entry.outcome {
                // Somebody else's load was stopped by somebody else's token.
                Err(error) if !loaded && error.kind() == ErrorKind::Cancelled => {}
                Err(error) => return Err(error.clone()),
                Ok(set) => match builder.rebind(set) {
                    Some(set) => return Ok(set),
                    // Loaded at the same time by somebody who chooses other tools.
                    None if !loaded => {}
                    None => return Ok(set.clone()),
                },
            }
        }
    }

    /// The set that the builder makes, if it is there. Nothing is loaded.
    pub async fn get(
        &self,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
    ) -> Option<ToolSet> {
        let key = CacheKey::of(builder, credentials);
        self.peek(&key, builder).await?.ok()
    }

    /// Forgets what is kept and loads anew, for everybody who asks meanwhile.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn refresh(
        &self,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
        context: &CallContext,
    ) -> Result<ToolSet, Error> {
        self.0.public.invalidate(builder.server().id()).await;
        self.invalidate(&CacheKey::of(builder, credentials)).await;
        self.get_or_load(builder, credentials, context).await
    }

    /// Forgets one set.
    pub async fn invalidate(&self, key: &CacheKey) {
        self.0.flights.void(|flying| flying == key);
        if let Some(entry) = self.0.entries.remove(key).await {
            entry.validity.void();
        }
    }

    /// Forgets everything of a principal, on all servers: for a logout.
    pub async fn invalidate_principal(&self, principal: &Principal) {
        self.invalidate_where(|key| key.principal == *principal)
            .await;
    }

    /// Forgets what a principal has of a server, with whatever credentials: after a 401 or 403.
    pub async fn invalidate_principal_at(&self, principal: &Principal, server: &ServerId) {
        let fits = |key: &CacheKey| key.principal == *principal && key.server == *server;
        self.invalidate_where(fits).await;
    }

    /// Forgets everything of a server: after `tools/list_changed`, or when its definitions differ
    /// from those that were approved.
    pub async fn invalidate_server(&self, server: &ServerId) {
        if let Some(list) = self.0.public.remove(server).await {
            list.validity.void();
        }
        self.invalidate_where(|key| key.server == *server).await;
    }

    /// Forgets everything.
    pub async fn invalidate_all(&self) {
        self.0.public.invalidate_all();
        self.invalidate_where(|_| true).await;
    }

    /// What the cache has done so far.
    pub fn stats(&self) -> CacheStats {
        self.0.counters.read(self.0.entries.entry_count())
    }

    async fn invalidate_where(&self, fits: impl Fn(&CacheKey) -> bool) {
        // First the loads under way, then what is there: a load that begins between the two began
        // after the invalidation.
        self.0.flights.void(&fits);
        let keys: Vec<_> = self
            .0
            .entries
            .iter()
            .filter(|(key, _)| fits(key))
            .map(|(key, entry)| {
                entry.validity.void();
                key
            })
            .collect();
        for key in keys {
            self.0.entries.invalidate(&*key).await;
        }
    }

    async fn peek(
        &self,
        key: &CacheKey,
        builder: &ToolSetBuilder,
    ) -> Option<Result<ToolSet, Error>> {
        let entry = self.0.entries.get(key).await?;
        if !entry.fresh(self.0.clock.now()) {
            return None;
        }
        match entry.outcome {
            Ok(set) => builder.rebind(&set).map(Ok),
            Err(error) => Some(Err(error)),
        }
    }

    async fn load<F, Fut>(
        &self,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
        validity: Validity,
        list: &F,
    ) -> Entry
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<ToolListing, Error>>,
    {
        let began = self.0.clock.now();
        let server = builder.server().id();
        let public = self.0.public.get(server).await;
        let public = public.filter(|list| list.validity.holds() && began < list.until);
        if let Some(list) = public {
            count(&self.0.counters.shared);
            let until = self.end(began, None, credentials).min(list.until);
            let outcome = builder.build((*list.listing).clone());
            return Entry {
                outcome,
                until,
                validity,
            };
        }
        count(&self.0.counters.loads);
        let listing = match list().await {
            Ok(listing) => listing,
            Err(error) => {
                count(&self.0.counters.failures);
                let until = self.end_of_failure(&error);
                let error = error.at_server(server);
                return Entry {
                    outcome: Err(error),
                    until,
                    validity,
                };
            }
        };
        // From when the server was asked: what it vouched for may have begun then.
        let until = self.end(began, listing.ttl, credentials);
        if listing.cache_scope == CacheScope::Public && validity.holds() {
            let list = PublicList {
                listing: Arc::new(listing.clone()),
                until: self.end(began, listing.ttl, &Credentials::anonymous()),
                validity: validity.clone(),
            };
            self.0.public.insert(server.clone(), list).await;
        }
        Entry {
            outcome: builder.build(listing),
            until,
            validity,
        }
    }

    fn end(&self, began: Instant, ttl: Option<Duration>, credentials: &Credentials) -> Instant {
        let ttl = ttl.map_or(self.0.ttl, |ttl| ttl.min(self.0.ttl));
        let until = began.checked_add(ttl).unwrap_or(began);
        credentials.expires_at().map_or(until, |end| end.min(until))
    }

    fn end_of_failure(&self, error: &Error) -> Instant {
        let now = self.0.clock.now();
        match error.kind() {
            ErrorKind::Connect
            | ErrorKind::Tls
            | ErrorKind::HttpStatus
            | ErrorKind::Protocol
            | ErrorKind::ServerExited
            | ErrorKind::Timeout => now.checked_add(self.0.negative_ttl).unwrap_or(now),
            _ => now,
        }
    }

    /// Takes out an entry that is good for nobody any more, unless another has taken its place.
    async fn forget_if_over(&self, key: &CacheKey, entry: &Entry) {
        if entry.fresh(self.0.clock.now()) {
            return;
        }
        let validity = &entry.validity;
        let selector = self.0.entries.entry_by_ref(key);
        let _ = selector
            .and_compute_with(|found| {
                let same = found.is_some_and(|found| found.value().validity.is(validity));
                std::future::ready(if same {
                    moka::ops::compute::Op::Remove
                } else {
                    moka::ops::compute::Op::Nop
                })
            })
            .await;
    }
}

impl Entry {
    fn fresh(&self, now: Instant) -> bool {
        self.validity.holds() && now < self.until
    }

    /// Whether it answers this builder's question now.
    fn usable(&self, now: Instant, builder: &ToolSetBuilder) -> bool {
        self.fresh(now)
            && self
                .outcome
                .as_ref()
                .map_or(true, |set| builder.rebind(set).is_some())
    }
}

impl Default for ToolCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ToolCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolCache")
            .field("ttl", &self.0.ttl)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
