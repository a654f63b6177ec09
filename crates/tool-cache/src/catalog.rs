//! Public lists that another replica asked for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mcp_core::auth::time::{Instant, SharedClock};
use mcp_core::replicas::{CatalogEntry, CatalogError, CatalogKey, CatalogStore};
use mcp_core::{ServerId, ToolServer};
use parking_lot::Mutex;

/// How long a load waits for the store, each time it asks.
const WAIT: Duration = Duration::from_millis(250);

/// How long nobody asks a store that could not be reached.
const PAUSE: Duration = Duration::from_secs(5);

/// Servers of whom something is remembered.
const MOST_SERVERS: usize = 1_024;

/// The second level. It is looked into only where a server would be asked otherwise.
#[derive(Debug)]
pub(crate) struct SharedCatalog {
    store: Arc<dyn CatalogStore>,
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    paused_until: Option<Instant>,
    /// Servers whose last list was not for everybody: there is nothing to be found.
    private: HashSet<ServerId>,
    /// What was asked for before then is not believed: of a server, …
    since: HashMap<ServerId, SystemTime>,
    /// … of any.
    since_all: Option<SystemTime>,
}

impl SharedCatalog {
    pub(crate) fn new(store: Arc<dyn CatalogStore>, clock: SharedClock) -> Self {
        let state = Mutex::default();
        Self {
            store,
            clock,
            state,
        }
    }

    /// What another replica was told by a server, unless it is over or not to be believed.
    pub(crate) async fn find(&self, server: &dyn ToolServer) -> Option<CatalogEntry> {
        let id = server.id();
        if self.is_paused() || self.state.lock().private.contains(id) {
            return None;
        }
        let key = CatalogKey::public(id);
        let found = self.within(self.store.get(&key)).await;
        let entry = found.and_then(|found| {
            let decode = |content: Vec<u8>| CatalogEntry::decode(&content, server);
            found.map(decode).transpose()
        });
        match entry {
            Ok(entry) => entry.filter(|entry| self.believes(id, entry)),
            Err(error) => {
                self.failed(id, &error);
                None
            }
        }
    }

    /// Puts a public list there.
    pub(crate) async fn keep(&self, server: &dyn ToolServer, entry: &CatalogEntry) {
        let life = entry.until.duration_since(self.clock.wall());
        let Some(life) = life.ok().filter(|life| !life.is_zero()) else {
            return;
        };
        if self.is_paused() {
            return;
        }
        let key = CatalogKey::public(server.id());
        let put = match entry.encode(server) {
            Ok(content) => self.within(self.store.put(&key, &content, life)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = put {
            self.failed(server.id(), &error);
        }
    }

    /// Takes away what is there of a server. Where it cannot be reached, what is there is not
    /// believed here any more all the same, see [`doubt`](Self::doubt).
    pub(crate) async fn forget(&self, server: &ServerId) {
        let key = CatalogKey::public(server);
        if let Err(error) = self.within(self.store.forget(&key)).await {
            self.failed(server, &error);
        }
    }

    /// Remembers whether a server's lists are for everybody.
    pub(crate) fn learn(&self, server: &ServerId, public: bool) {
        let private = &mut self.state.lock().private;
        if public {
            private.remove(server);
        } else if private.len() < MOST_SERVERS {
            private.insert(server.clone());
        }
    }

    /// Believes nothing any more that a server was asked for before then.
    pub(crate) fn doubt(&self, server: &ServerId, since: SystemTime) {
        let state = &mut *self.state.lock();
        if state.since.len() >= MOST_SERVERS && !state.since.contains_key(server) {
            let latest = state.since.drain().map(|(_, since)| since).max();
            state.since_all = state.since_all.max(latest);
        }
        state.since.insert(server.clone(), since);
    }

    /// Believes nothing any more that any server was asked for before now.
    pub(crate) fn doubt_all(&self) {
        let state = &mut *self.state.lock();
        state.since.clear();
        state.since_all = Some(self.clock.wall());
    }

    fn believes(&self, server: &ServerId, entry: &CatalogEntry) -> bool {
        let state = self.state.lock();
        let since = state.since.get(server).copied().max(state.since_all);
        let trusted = since.is_none_or(|since| since <= entry.given);
        trusted && self.clock.wall() < entry.until
    }

    /// Whether it could not be reached a moment ago.
    pub(crate) fn is_paused(&self) -> bool {
        let until = self.state.lock().paused_until;
        until.is_some_and(|until| self.clock.now() < until)
    }

    async fn within<T>(
        &self,
        asked: impl Future<Output = Result<T, CatalogError>>,
    ) -> Result<T, CatalogError> {
        let end = self.clock.now().checked_add(WAIT);
        let Some(end) = end else {
            return Err(CatalogError::Late);
        };
        tokio::select! {
            biased;
            answer = asked => answer,
            () = self.clock.sleep_until(end) => Err(CatalogError::Late),
        }
    }

    fn failed(&self, server: &ServerId, error: &CatalogError) {
        let server = server.as_str();
        let because = std::error::Error::source(error).map(ToString::to_string);
        let because = because.unwrap_or_default();
        tracing::warn!(server, %error, because, "the shared catalog is of no help");
        if !matches!(error, CatalogError::Unusable(_)) {
            self.state.lock().paused_until = self.clock.now().checked_add(PAUSE);
        }
    }
}
