//! The cache, as its users see it.

mod invalidate;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_adapter::{ToolSet, ToolSetBuilder};
use mcp_core::auth::Credentials;
use mcp_core::auth::time::{Instant, SharedClock};
use mcp_core::replicas::{Cause, Subscription};
use mcp_core::{CallContext, Error, ErrorKind, Principal, ToolListing};
use parking_lot::Mutex;

use crate::flights::Validity;
use crate::refreshes::{self, Refreshes};
use crate::replicas::Listener;
use crate::stats::count;
use crate::store::{Found, Store};
use crate::{CacheKey, CacheMode, CacheStats, CacheWatch, ToolCacheBuilder};

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
///
/// With a [bus](ToolCacheBuilder::bus), what one cache forgets, all caches on it forget, in other
/// processes too.
#[derive(Clone)]
pub struct ToolCache {
    pub(crate) store: Arc<Store>,
    /// Ends with the last handle, and the tasks with it; they hold the store, never this.
    refreshes: Arc<Refreshes>,
    listener: Arc<Listener>,
}

impl ToolCache {
    /// A cache with the default settings.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A cache with other settings.
    pub fn builder() -> ToolCacheBuilder {
        ToolCacheBuilder::new()
    }

    pub(crate) fn with(settings: ToolCacheBuilder) -> Self {
        let cache = Self {
            store: Arc::new(Store::new(settings)),
            refreshes: Arc::default(),
            listener: Arc::default(),
        };
        cache.listener.start(&cache.store);
        cache
    }

    /// The set that the builder makes for these credentials, by way of the cache as the mode says.
    ///
    /// `credentials` are those that the server would be asked with now; they tell whose entry it is
    /// and how long it may live. Dropping the future loses only the wait: a load that others wait
    /// for is taken over by one of them, as is one that ended with its own caller's deadline. When the
    /// server refuses (401, 403), everything that is kept of the principal at this server goes.
    ///
    /// # Errors
    /// Those of [`ToolServer::list_tools`](mcp_core::ToolServer::list_tools) and
    /// [`ToolSetBuilder::build`].
    pub async fn load(
        &self,
        mode: CacheMode,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
        context: &CallContext,
    ) -> Result<ToolSet, Error> {
        let store = &self.store;
        // What this caller's own deadline ended is no news for those who wait for the same.
        let impatient = Mutex::new(None);
        let list = || async {
            let listed = builder.server().list_tools(context).await;
            listed.map_err(|error| {
                let over = context.deadline.is_some_and(|end| end <= Instant::now());
                if !over || error.kind() != ErrorKind::Timeout {
                    return error;
                }
                *impatient.lock() = Some(error.at_server(builder.server().id()));
                Error::cancelled()
            })
        };
        let key = CacheKey::asked_as(context.principal.clone(), builder, credentials);
        if mode == CacheMode::Use {
            match self.look_up(&key, builder).await {
                Found::Fresh(outcome, _) => return outcome,
                Found::Stale(set, validity) => {
                    let principal = &context.principal;
                    self.refresh_behind(key, validity, builder, credentials, principal);
                    return Ok(set);
                }
                Found::Nothing => {}
            }
        }
        self.listener.start(store);
        let loading = async {
            match mode {
                CacheMode::Use => {}
                CacheMode::Refresh => {
                    store.public.invalidate(&key.server).await;
                    store.doubt(&key.server, store.clock.wall());
                    store.forget(&key).await;
                    count(&store.counters.misses);
                }
                CacheMode::Bypass => {
                    count(&store.counters.bypasses);
                    return builder.load(context).await;
                }
            }
            store.share_load(&key, builder, credentials, list).await.0
        };
        // Somebody else's load may take longer than this caller has. Large, and rare beside hits.
        let loading = Box::pin(context.bound(Duration::MAX, "loading the tools", loading));
        let loaded = loading.await;
        let loaded = impatient.into_inner().map_or(loaded, Err);
        if loaded
            .as_ref()
            .is_err_and(|error| error.kind().is_refusal())
        {
            let (principal, server) = (&context.principal, builder.server().id());
            store
                .invalidate_principal_at(principal, server, Cause::Refused)
                .await;
        }
        loaded
    }

    /// [`load`](Self::load) with [`CacheMode::Use`].
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub async fn get_or_load(
        &self,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
        context: &CallContext,
    ) -> Result<ToolSet, Error> {
        self.load(CacheMode::Use, builder, credentials, context)
            .await
    }

    /// [`get_or_load`](Self::get_or_load) with a way of your own to get the list. What is stale is
    /// not given: there would be nobody to refresh it.
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
        self.get_or_load_until(builder, credentials, list).await.0
    }

    /// [`get_or_load_with`](Self::get_or_load_with) that tells besides until when the outcome is
    /// good, if nothing invalidates it: for layers that keep it themselves. See
    /// [`epoch`](Self::epoch).
    pub async fn get_or_load_until<F, Fut>(
        &self,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
        list: F,
    ) -> (Result<ToolSet, Error>, Instant)
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<ToolListing, Error>>,
    {
        let key = CacheKey::of(builder, credentials);
        if let Found::Fresh(outcome, until) = self.store.find(&key, builder).await {
            self.count_hit(&outcome);
            return (outcome, until);
        }
        count(&self.store.counters.misses);
        self.listener.start(&self.store);
        self.store
            .share_load(&key, builder, credentials, list)
            .await
    }

    /// The set that the builder makes, if it is there and fresh. Nothing is loaded.
    pub async fn get(
        &self,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
    ) -> Option<ToolSet> {
        let key = CacheKey::of(builder, credentials);
        match self.store.find(&key, builder).await {
            Found::Fresh(outcome, _) => outcome.ok(),
            Found::Stale(..) | Found::Nothing => None,
        }
    }

    /// [`load`](Self::load) with [`CacheMode::Refresh`].
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub async fn refresh(
        &self,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
        context: &CallContext,
    ) -> Result<ToolSet, Error> {
        self.load(CacheMode::Refresh, builder, credentials, context)
            .await
    }

    /// A middleware for the sets that are loaded through this cache: a call that is refused (401,
    /// 403, or no authorization any more) takes what is kept of its principal at its server.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use mcp_core::ToolServer;
    /// use mcp_adapter::ToolSet;
    /// use mcp_tool_cache::ToolCache;
    ///
    /// # fn builder(server: Arc<dyn ToolServer>) {
    /// let cache = ToolCache::new();
    /// let builder = ToolSet::builder(server).middleware(cache.watch());
    /// # }
    /// ```
    pub fn watch(&self) -> CacheWatch {
        CacheWatch(Arc::downgrade(&self.store))
    }

    /// Whether it tells others what it forgets.
    pub fn has_bus(&self) -> bool {
        self.store.replicas.is_some()
    }

    /// What other caches on this cache's [bus](ToolCacheBuilder::bus) invalidate from now on, for
    /// layers that keep something of their own. The cache itself needs nobody to listen. `None`
    /// without a bus.
    pub fn subscribe(&self) -> Option<Subscription> {
        Some(self.store.replicas.as_ref()?.subscribe())
    }

    /// A number that changes with every invalidation that may concern the principal, once it is
    /// done. Whoever keeps what the cache gave notes it before asking, and asks anew when it is
    /// another.
    pub fn epoch(&self, principal: &Principal) -> u64 {
        self.store.epochs.of(principal)
    }

    /// The source of time that it goes by.
    pub fn clock(&self) -> &SharedClock {
        &self.store.clock
    }

    /// What the cache has done so far.
    pub fn stats(&self) -> CacheStats {
        let entries = self.store.entries.entry_count();
        let away = self.store.replicas.as_ref().map(|others| others.is_away());
        self.store.counters.read(entries, away.unwrap_or(false))
    }

    async fn look_up(&self, key: &CacheKey, builder: &ToolSetBuilder) -> Found {
        let found = self.store.find(key, builder).await;
        match &found {
            Found::Fresh(outcome, _) => self.count_hit(outcome),
            Found::Stale(..) => count(&self.store.counters.stale),
            Found::Nothing => count(&self.store.counters.misses),
        }
        found
    }

    fn count_hit(&self, outcome: &Result<ToolSet, Error>) {
        let counters = &self.store.counters;
        count(&counters.hits);
        if outcome.is_err() {
            count(&counters.negative_hits);
        }
    }

    /// Refreshes a key in a task of the cache's, unless somebody is at it or has just failed.
    fn refresh_behind(
        &self,
        key: CacheKey,
        validity: Validity,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
        principal: &Principal,
    ) {
        self.refreshes.start(|| {
            let store = Arc::clone(&self.store);
            let (builder, credentials) = (builder.clone(), credentials.clone());
            let context = CallContext::new(principal.clone()).with_timeout(refreshes::TIMEOUT);
            async move {
                if !validity.begin_refresh(store.clock.now(), refreshes::TIMEOUT) {
                    return;
                }
                count(&store.counters.refreshes);
                let list = || builder.server().list_tools(&context);
                let replacing = store.replace(&key, &builder, &credentials, list);
                let during = "refreshing a list of tools";
                let replaced = context.bound(refreshes::TIMEOUT, during, replacing).await;
                let Err(error) = replaced else {
                    return;
                };
                tracing::warn!(
                    server = key.server.as_str(),
                    error_kind = error.kind().as_str(),
                    "a list of tools could not be refreshed"
                );
                validity.pause_refresh(store.clock.now(), refreshes::PAUSE);
                if error.kind().is_refusal() {
                    let principal = &key.principal;
                    let server = &key.server;
                    store
                        .invalidate_principal_at(principal, server, Cause::Refused)
                        .await;
                }
            }
        });
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
            .field("ttl", &self.store.ttl)
            .field("stale_while_revalidate", &self.store.grace)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
