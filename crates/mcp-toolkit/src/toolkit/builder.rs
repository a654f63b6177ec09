//! Setting up a toolkit.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_adapter::{Middleware, MiddlewareStack, ToolSet};
use mcp_auth::{Contained, CredentialProvider, SharedProvider};
use mcp_core::replicas::InvalidationBus;
use mcp_core::{Error, Limits, ServerId, ToolServer};
use mcp_tool_cache::ToolCache;

use super::hot::Hot;
use super::member::{Life, Member};
use super::spec::{Defaults, Opened};
use super::watching::Watching;
use super::{Entry, Inner, McpToolkit, Served, ToolkitServer};

/// Loads of one server at a time.
const CONCURRENCY: usize = 32;
/// How long it is remembered that a server could not be reached.
const FAILED_FOR: Duration = Duration::from_secs(5);

/// Settings of an [`McpToolkit`]. The first mistake is kept and told by
/// [`build`](Self::build), so that settings chain without `?`.
pub struct McpToolkitBuilder {
    servers: Vec<Described>,
    credentials: HashMap<ServerId, SharedProvider>,
    middleware: MiddlewareStack,
    cache: Option<ToolCache>,
    bus: Option<Arc<dyn InvalidationBus>>,
    #[cfg(feature = "http")]
    client: Option<mcp_http::HttpClient>,
    #[cfg(feature = "oauth")]
    store: Option<mcp_auth::SharedStore>,
    limits: Limits,
    principals: Option<usize>,
    concurrency: usize,
    allow_stdio: bool,
    mistake: Option<Error>,
}

/// A server that was asked for.
#[derive(Debug)]
struct Described {
    id: ServerId,
    server: Result<ToolkitServer, Error>,
    /// A file names it, which this program's author has not seen.
    from_file: bool,
}

impl McpToolkitBuilder {
    pub(super) fn new() -> Self {
        Self {
            servers: Vec::new(),
            credentials: HashMap::new(),
            middleware: MiddlewareStack::new(),
            cache: None,
            bus: None,
            #[cfg(feature = "http")]
            client: None,
            #[cfg(feature = "oauth")]
            store: None,
            limits: Limits::default(),
            principals: None,
            concurrency: CONCURRENCY,
            allow_stdio: false,
            mistake: None,
        }
    }

    /// Adds every server of a file that is not `disabled` there. An entry that is wrong, and a
    /// program where programs are not [allowed](Self::allow_stdio), is a server that
    /// [failed](super::ServerTools::Failed); the others work.
    #[cfg(feature = "config")]
    pub fn config(mut self, config: &crate::config::Config) -> Self {
        for (name, entry) in config.servers() {
            let server = match entry {
                Ok(server) if server.disabled => continue,
                Ok(server) => Ok(server.clone().into()),
                Err(error) => Err(error.clone().into()),
            };
            self = self.add(name, server, true);
        }
        self
    }

    /// Adds a server: what [`load_mcp_tools_http`](crate::load_mcp_tools_http) or
    /// [`load_mcp_tools_stdio`](crate::load_mcp_tools_stdio) would load, an entry of a file, or a
    /// [`ToolServer`] of your own.
    pub fn server<T>(self, name: T, server: impl Into<ToolkitServer>) -> Self
    where
        T: TryInto<ServerId>,
        T::Error: Into<Error>,
    {
        self.add(name, Ok(server.into()), false)
    }

    /// Asks this provider for the credentials of a server, in place of what its description says:
    /// of a file's entry, `auth`. For a [`ToolServer`] of your own it tells whose tools are whose.
    /// One that panics costs the request that it was asked for ([`Contained`]).
    pub fn credentials<T>(mut self, server: T, provider: impl CredentialProvider + 'static) -> Self
    where
        T: TryInto<ServerId>,
        T::Error: Into<Error>,
    {
        match server.try_into() {
            Ok(server) => {
                let provider = Arc::new(Contained::new(provider));
                self.credentials.insert(server, provider);
            }
            Err(error) => self.wrong(error.into()),
        }
        self
    }

    /// Lets the programs of a file run. Default: no, because whoever can write the file could run
    /// anything here. Programs that code names always run.
    pub fn allow_stdio(mut self) -> Self {
        self.allow_stdio = true;
        self
    }

    /// Adds what happens around every call on every server, outside of what a server's own
    /// description adds.
    pub fn middleware(mut self, middleware: impl Middleware + 'static) -> Self {
        self.middleware = self.middleware.with(middleware);
        self
    }

    /// Keeps loaded tools there; what is left of them there when the toolkit is dropped without a
    /// [`shutdown`](McpToolkit::shutdown) keeps servers alive until it is over. Default: a cache of
    /// its own with the default settings, which remembers for 5 s that a server could not be
    /// reached.
    pub fn cache(mut self, cache: &ToolCache) -> Self {
        self.cache = Some(cache.clone());
        self
    }

    /// Forgets what other replicas forget, and tells them: who logged out or was refused, and whose
    /// tools changed. Default: this process is alone. A [`cache`](Self::cache) that is given has a
    /// bus of its own or none ([`ToolCacheBuilder::bus`](mcp_tool_cache::ToolCacheBuilder::bus)).
    ///
    /// Servers have the same names in all replicas.
    pub fn bus(mut self, bus: Arc<dyn InvalidationBus>) -> Self {
        self.bus = Some(bus);
        self
    }

    /// Goes through this client where a server's description names no other. Default: one of its
    /// own.
    #[cfg(feature = "http")]
    pub fn client(mut self, client: &mcp_http::HttpClient) -> Self {
        self.client = Some(client.clone());
        self
    }

    /// Keeps the logins of a file's entries with `auth` of type `oauth`. Default: the memory of this
    /// process.
    #[cfg(feature = "oauth")]
    pub fn token_store(mut self, store: mcp_auth::SharedStore) -> Self {
        self.store = Some(store);
        self
    }

    /// The bounds where a server's description sets none.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many principals come and go within an hour: room is made for the tools of all of them on
    /// every server, and for their tokens where a server says
    /// [`bearer_per_principal`](crate::HttpLoader::bearer_per_principal) or is a file's entry. A
    /// [`cache`](Self::cache) and providers that are given have settings of their own. Default: room
    /// for 10,000 sets of tools in all, and for the tokens of 10,000 principals for each server.
    ///
    /// It is no bound on who is served: beyond it, tools are loaded and tokens fetched more often.
    /// Logins by OAuth belong in a [`token_store`](Self::token_store); the memory that is the default
    /// has room for 50,000.
    pub fn max_principals(mut self, principals: usize) -> Self {
        self.principals = Some(principals);
        self
    }

    /// How many lists of tools are loaded from one server at a time; others wait for their turn,
    /// within their time. Default 32.
    pub fn concurrency(mut self, loads: usize) -> Self {
        self.concurrency = loads;
        self
    }

    /// The toolkit. Nothing is sent or started yet.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure) for a server in code that cannot work, two servers of
    /// the same name, credentials for a server that is not there, and a bus beside a cache.
    pub fn build(mut self) -> Result<McpToolkit, Error> {
        if let Some(mistake) = self.mistake.take() {
            return Err(mistake);
        }
        let defaults = Defaults {
            #[cfg(feature = "http")]
            client: self.client.take().unwrap_or_else(|| {
                mcp_http::HttpClient::builder()
                    .limits(self.limits.clone())
                    .build()
            }),
            #[cfg(feature = "oauth")]
            store: self.store.take(),
            limits: self.limits.clone(),
            #[cfg(feature = "http")]
            principals: self.principals,
        };
        let cache = match (self.cache.take(), self.bus.take()) {
            (Some(_), Some(_)) => {
                return Err(Error::config(
                    "a cache was given, and a bus: give the cache the bus",
                ));
            }
            (Some(cache), None) => cache,
            (None, bus) => {
                let mut cache = ToolCache::builder().negative_ttl(FAILED_FOR);
                if let Some(principals) = self.principals {
                    // A token that was just renewed has a set of its own beside the last one's.
                    let sets = principals
                        .saturating_mul(self.servers.len())
                        .saturating_mul(2);
                    cache = cache.capacity(u64::try_from(sets).unwrap_or(u64::MAX));
                }
                match bus {
                    Some(bus) => cache.bus(bus).build(),
                    None => cache.build(),
                }
            }
        };
        let cache = Arc::new(cache);
        let life = Arc::new(Life::default());
        let mut entries = Vec::with_capacity(self.servers.len());
        for described in std::mem::take(&mut self.servers) {
            let Described {
                id,
                server,
                from_file,
            } = described;
            let credentials = self.credentials.remove(&id);
            let served = server.and_then(|server| {
                if from_file && server.is_program() && !self.allow_stdio {
                    return Err(Error::config(
                        "the file wants to run a program; allow that with `allow_stdio` if the \
                         file is trusted",
                    ));
                }
                let opened = server.open(&id, credentials, &defaults)?;
                Ok(self.serve(&id, opened, &cache, &life))
            });
            match served {
                Err(error) if !from_file => return Err(error.at_server(&id)),
                served => entries.push(Entry { id, served }),
            }
        }
        if let Some(id) = self.credentials.keys().next() {
            return Err(Error::config(format!(
                "there are credentials for `{id}`, and no server of that name"
            )));
        }
        let inner = Inner {
            ids: entries.iter().map(|entry| entry.id.clone()).collect(),
            entries: entries.into(),
            cache,
            hot: Hot::new(),
            life,
            watching: Watching::default(),
        };
        inner.watch();
        Ok(McpToolkit(Arc::new(inner)))
    }

    fn serve(
        &self,
        id: &ServerId,
        opened: Opened,
        cache: &Arc<ToolCache>,
        life: &Arc<Life>,
    ) -> Served {
        let member = Arc::new(Member::new(
            (id.clone(), opened.reach, opened.provider),
            opened.startup,
            self.concurrency,
            cache,
            Arc::clone(life),
        ));
        let server: Arc<dyn ToolServer> = Arc::<Member>::clone(&member);
        let template = opened
            .settings
            .shape(ToolSet::builder(server))
            .timeout(opened.call)
            .middleware_stack(&self.middleware)
            .middleware_stack(&opened.settings.middleware);
        Served { member, template }
    }

    fn add<T>(mut self, name: T, server: Result<ToolkitServer, Error>, from_file: bool) -> Self
    where
        T: TryInto<ServerId>,
        T::Error: Into<Error>,
    {
        let id = match name.try_into() {
            Ok(id) => id,
            Err(error) => {
                self.wrong(error.into());
                return self;
            }
        };
        if self.servers.iter().any(|known| known.id == id) {
            self.wrong(Error::config(format!("two servers are named `{id}`")));
        }
        self.servers.push(Described {
            id,
            server,
            from_file,
        });
        self
    }

    fn wrong(&mut self, mistake: Error) {
        self.mistake.get_or_insert(mistake);
    }
}

impl fmt::Debug for McpToolkitBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpToolkitBuilder")
            .field("servers", &self.servers)
            .field("middleware", &self.middleware)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
