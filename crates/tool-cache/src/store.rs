//! What a cache holds, how it gets it and how it lets go of it.

mod elsewhere;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mcp_adapter::{ToolSet, ToolSetBuilder};
use mcp_core::auth::Credentials;
use mcp_core::auth::time::{Instant, SharedClock};
use mcp_core::replicas::{Cause, Invalidation, PrincipalTag};
use mcp_core::{CacheScope, Error, ErrorKind, Principal, ServerId, ToolListing};
use moka::future::Cache;
use moka::notification::RemovalCause;
use moka::ops::compute::Op;
use parking_lot::Mutex;

use crate::catalog::SharedCatalog;
use crate::drift::Witnesses;
use crate::entry::{Entry, Life, PublicList};
use crate::epochs::Epochs;
use crate::flights::{Flight, Flights, Validity};
use crate::replicas::Replicas;
use crate::stats::{Counters, count};
use crate::{CacheKey, ToolCacheBuilder};

/// Lists that servers call public: one per server.
const PUBLIC_CAPACITY: u64 = 1_000;

pub(crate) struct Store {
    pub(crate) entries: Cache<CacheKey, Entry>,
    pub(crate) public: Cache<ServerId, PublicList>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) epochs: Epochs,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: SharedClock,
    pub(crate) ttl: Duration,
    negative_ttl: Duration,
    pub(crate) grace: Duration,
    pub(crate) replicas: Option<Arc<Replicas>>,
    catalog: Option<SharedCatalog>,
    /// There where somebody wants to hear what they see.
    witnesses: Option<Witnesses>,
}

/// What was found under a key.
pub(crate) enum Found {
    Fresh(Result<ToolSet, Error>, Instant),
    /// Over, but to be given while somebody refreshes it.
    Stale(ToolSet, Validity),
    Nothing,
}

impl Store {
    pub(crate) fn new(settings: ToolCacheBuilder) -> Self {
        let counters = Arc::new(Counters::default());
        let evictions = Arc::clone(&counters);
        let longest = settings.ttl.saturating_add(settings.grace);
        let entries = Cache::builder()
            .max_capacity(settings.capacity)
            // Entries have ends of their own, on a clock of ours; this only gives memory back.
            .time_to_live(
                longest
                    .max(settings.negative_ttl)
                    .clamp(Duration::from_secs(1), Duration::from_secs(1 << 30)),
            )
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    count(&evictions.evictions);
                }
            })
            .build();
        let short_ttl = settings.away_ttl;
        let replicas = settings.bus.map(|bus| Replicas::new(bus, short_ttl));
        let clock = Arc::clone(&settings.clock);
        let catalog = settings.catalog;
        Self {
            catalog: catalog.map(|store| SharedCatalog::new(store, clock)),
            entries,
            public: Cache::builder().max_capacity(PUBLIC_CAPACITY).build(),
            flights: Arc::default(),
            epochs: Epochs::default(),
            counters,
            clock: settings.clock,
            ttl: settings.ttl,
            negative_ttl: settings.negative_ttl,
            grace: settings.grace,
            witnesses: replicas.as_ref().map(|_| Witnesses::new()),
            replicas: replicas.map(Arc::new),
        }
    }

    /// What is there for this builder. Nothing is loaded.
    pub(crate) async fn find(&self, key: &CacheKey, builder: &ToolSetBuilder) -> Found {
        let Some(entry) = self.entries.get(key).await else {
            return Found::Nothing;
        };
        let now = self.clock.now();
        let fresh = entry.fresh(now);
        match &entry.outcome {
            Err(error) if fresh => Found::Fresh(Err(error.clone()), entry.life.until),
            Ok(set) if entry.kept(now) => match builder.rebind(set) {
                Some(set) if fresh => Found::Fresh(Ok(set), entry.life.until),
                Some(set) => Found::Stale(set, entry.validity),
                None => Found::Nothing,
            },
            _ => Found::Nothing,
        }
    }

    /// Loads, together with everybody who wants the same at the same time. Gives until when it is
    /// good, besides.
    pub(crate) async fn share_load<F, Fut>(
        &self,
        key: &CacheKey,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
        list: F,
    ) -> (Result<ToolSet, Error>, Instant)
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<ToolListing, Error>>,
    {
        loop {
            let flight: Mutex<Option<Flight>> = Mutex::new(None);
            let load = async {
                let begun = self.flights.begin(key);
                let validity = begun.validity.clone();
                *flight.lock() = Some(begun);
                self.load(key, builder, credentials, validity, &list).await
            };
            let now = self.clock.now();
            let stale = |entry: &Entry| !entry.usable(now, builder);
            let selector = self.entries.entry_by_ref(key);
            let entry = selector.or_insert_with_if(load, stale).await.into_value();
            // From here on an invalidation finds the entry itself.
            let loaded = flight.into_inner().is_some();
            if !loaded {
                count(&self.counters.waits);
            }
            self.forget_if_over(key, &entry).await;
            match &entry.outcome {
                // Somebody else's load was stopped by somebody else's token.
                Err(error) if !loaded && error.kind() == ErrorKind::Cancelled => {}
                Err(error) => return (Err(error.clone()), entry.life.until),
                Ok(set) => match builder.rebind(set) {
                    Some(set) => return (Ok(set), entry.life.until),
                    // Loaded at the same time by somebody who chooses other tools.
                    None if !loaded => {}
                    None => return (Ok(set.clone()), entry.life.until),
                },
            }
        }
    }

    /// Loads anew and puts the outcome in the place of what is there, if it is a good one and nobody
    /// has invalidated the key meanwhile.
    pub(crate) async fn replace<F, Fut>(
        &self,
        key: &CacheKey,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
        list: F,
    ) -> Result<(), Error>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<ToolListing, Error>>,
    {
        let flight = self.flights.begin(key);
        let validity = flight.validity.clone();
        let entry = self.load(key, builder, credentials, validity, &list).await;
        if let Err(error) = &entry.outcome {
            return Err(error.clone());
        }
        if entry.validity.holds() {
            self.entries.insert(key.clone(), entry).await;
        }
        // The flight ends here: from now on an invalidation finds the entry itself.
        drop(flight);
        Ok(())
    }

    async fn load<F, Fut>(
        &self,
        key: &CacheKey,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
        validity: Validity,
        list: &F,
    ) -> Entry
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<ToolListing, Error>>,
    {
        let began = self.clock.now();
        let server = builder.server().id();
        let public = self.public.get(server).await;
        let public = public.filter(|list| list.validity.holds() && began < list.until);
        let public = match public {
            None => self.find_elsewhere(builder, &validity).await,
            public => public,
        };
        if let Some(list) = public {
            count(&self.counters.shared);
            let own = self.life(began, None, credentials);
            return Entry {
                outcome: builder.build((*list.listing).clone()),
                life: Life::until(own.until.min(list.until)),
                validity,
            };
        }
        // Whatever was found elsewhere took time.
        let began = self.clock.now();
        let given = self.clock.wall();
        count(&self.counters.loads);
        let listing = match list().await {
            Ok(listing) => listing,
            Err(error) => {
                count(&self.counters.failures);
                return Entry {
                    life: Life::until(self.end_of_failure(&error)),
                    outcome: Err(error.at_server(server)),
                    validity,
                };
            }
        };
        // From when the server was asked: what it vouched for may have begun then.
        let life = self.life(began, listing.ttl, credentials);
        let (ttl, public) = (listing.ttl, listing.cache_scope == CacheScope::Public);
        if let Some(catalog) = &self.catalog {
            catalog.learn(server, public);
        }
        let shared = public.then(|| listing.clone());
        let outcome = builder.build(listing);
        if let (Some(witnesses), Ok(set)) = (&self.witnesses, &outcome)
            && witnesses.see(key, set, self.clock.now()).await
        {
            self.drifted(key, given).await;
        }
        if let Some(listing) = shared.filter(|_| validity.holds()) {
            let anybodys = self.life(began, ttl, &Credentials::anonymous());
            let list = PublicList {
                listing: Arc::new(listing),
                until: anybodys.until,
                validity: validity.clone(),
            };
            let kept = self.catalog.as_ref().map(|_| Arc::clone(&list.listing));
            let life = list.until.saturating_duration_since(began);
            self.public.insert(server.clone(), list).await;
            if let Some(listing) = kept {
                self.keep_elsewhere(builder, &listing, (given, life), &validity)
                    .await;
            }
        }
        Entry {
            outcome,
            life,
            validity,
        }
    }

    /// The least of what is configured, what the server vouches for, and the credentials' own life.
    fn life(&self, began: Instant, ttl: Option<Duration>, credentials: &Credentials) -> Life {
        let end = credentials.expires_at();
        let within = |instant: Instant| end.map_or(instant, |end| end.min(instant));
        // While the others cannot be heard, nothing is believed for long.
        let away = self.replicas.as_ref().filter(|others| others.is_away());
        let longest = away.map_or(self.ttl, |others| self.ttl.min(others.short_ttl));
        let own = ttl.map_or(longest, |ttl| ttl.min(longest));
        let until = began.checked_add(own).unwrap_or(began);
        let grace = if own.is_zero() || away.is_some() {
            Duration::ZERO
        } else {
            self.grace
        };
        Life {
            until: within(until),
            stale_until: within(until.checked_add(grace).unwrap_or(until)),
        }
    }

    fn end_of_failure(&self, error: &Error) -> Instant {
        let now = self.clock.now();
        match error.kind() {
            ErrorKind::Connect
            | ErrorKind::Tls
            | ErrorKind::HttpStatus
            | ErrorKind::Protocol
            | ErrorKind::ServerExited
            | ErrorKind::Timeout => now.checked_add(self.negative_ttl).unwrap_or(now),
            _ => now,
        }
    }

    /// Takes out an entry that is good for nobody any more, unless another has taken its place.
    async fn forget_if_over(&self, key: &CacheKey, entry: &Entry) {
        if entry.kept(self.clock.now()) {
            return;
        }
        let validity = &entry.validity;
        let selector = self.entries.entry_by_ref(key);
        let _ = selector
            .and_compute_with(|found| {
                let same = found.is_some_and(|found| found.value().validity.is(validity));
                std::future::ready(if same { Op::Remove } else { Op::Nop })
            })
            .await;
    }

    /// Tells the other replicas, if there are any.
    pub(crate) fn tell(&self, invalidation: impl FnOnce() -> Invalidation) {
        if let Some(others) = &self.replicas {
            count(&self.counters.announced);
            others.tell(invalidation());
        }
    }

    /// A server was seen to have changed by the one whose key this is, who has the new definitions.
    async fn drifted(&self, seen_by: &CacheKey, given: SystemTime) {
        let server = &seen_by.server;
        tracing::warn!(server = server.as_str(), "definitions of tools changed");
        self.tell(|| Invalidation::of_server(server, Cause::DefinitionsChanged));
        // The new definitions are to be believed.
        self.forget_public(server, given).await;
        let fits = |key: &CacheKey| key.server == *server && key != seen_by;
        self.forget_where(&[None], fits).await;
        self.forget_found(server).await;
    }

    pub(crate) async fn invalidate_principal_at(
        &self,
        principal: &Principal,
        server: &ServerId,
        cause: Cause,
    ) {
        self.tell(|| Invalidation::of_principal(principal, Some(server), cause));
        let fits = |key: &CacheKey| key.principal == *principal && key.server == *server;
        let group = PrincipalTag::shard_of(principal);
        self.forget_where(&[Some(group)], fits).await;
    }

    /// Forgets one set, here.
    pub(crate) async fn forget(&self, key: &CacheKey) {
        let group = PrincipalTag::shard_of(&key.principal);
        let _changed = self.epochs.next(Some(group));
        self.flights.void(|flying| flying == key);
        if let Some(entry) = self.entries.remove(key).await {
            count(&self.counters.invalidations);
            entry.validity.void();
        }
    }

    /// Forgets the list of a server that is anybody's, here; what replicas share is not believed
    /// here if it is from before then.
    pub(crate) async fn forget_public(&self, server: &ServerId, since: SystemTime) {
        self.doubt(server, since);
        if let Some(list) = self.public.remove(server).await {
            list.validity.void();
        }
    }

    /// Forgets everything, here.
    pub(crate) async fn forget_all(&self) {
        if let Some(catalog) = &self.catalog {
            catalog.doubt_all();
        }
        self.public.invalidate_all();
        self.forget_where(&[None], |_| true).await;
    }

    /// Forgets what fits, here; it is of principals of these groups, or of any.
    pub(crate) async fn forget_where(
        &self,
        groups: &[Option<u8>],
        fits: impl Fn(&CacheKey) -> bool,
    ) {
        let _changed: Vec<_> = groups
            .iter()
            .map(|group| self.epochs.next(*group))
            .collect();
        // First the loads under way, then what is there: a load that begins between the two began
        // after the invalidation.
        self.flights.void(&fits);
        let keys: Vec<_> = self
            .entries
            .iter()
            .filter(|(key, _)| fits(key))
            .map(|(key, entry)| {
                count(&self.counters.invalidations);
                entry.validity.void();
                key
            })
            .collect();
        for key in keys {
            self.entries.invalidate(&*key).await;
        }
    }
}
