//! What every loader has in common: for whom, how long, around and under which names.

use std::sync::Arc;
use std::time::Duration;

use mcp_adapter::{MiddlewareStack, ToolSet, ToolSetBuilder};
#[cfg(feature = "cache")]
use mcp_auth::Credentials;
use mcp_core::{CallContext, Error, Limits, Principal, ServerId, ToolServer};

/// The time for a load, and for each call, everything included, as the page this follows has it.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The settings that loaders share. The first mistake is kept and told when the load is awaited,
/// so that settings chain without `?`.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) id: Option<ServerId>,
    pub(crate) principal: Principal,
    timeout: Option<Duration>,
    pub(crate) middleware: MiddlewareStack,
    pub(crate) limits: Option<Limits>,
    pub(crate) prefix: String,
    pub(crate) enabled: Option<Vec<String>>,
    pub(crate) disabled: Vec<String>,
    #[cfg(feature = "cache")]
    pub(crate) cache: Option<mcp_tool_cache::ToolCache>,
    mistake: Option<Error>,
}

impl Settings {
    pub(crate) fn new() -> Self {
        Self {
            id: None,
            principal: Principal::local(),
            timeout: None,
            middleware: MiddlewareStack::new(),
            limits: None,
            prefix: String::new(),
            enabled: None,
            disabled: Vec::new(),
            #[cfg(feature = "cache")]
            cache: None,
            mistake: None,
        }
    }

    /// Keeps a value, or the first mistake.
    pub(crate) fn set<T, E: Into<Error>>(
        &mut self,
        value: Result<T, E>,
        keep: impl FnOnce(&mut Self, T),
    ) {
        match value {
            Ok(value) => keep(self, value),
            Err(error) => {
                self.mistake.get_or_insert_with(|| error.into());
            }
        }
    }

    /// The time for the load, and for each call.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// The time that was asked for.
    #[cfg(feature = "cache")]
    pub(crate) fn own_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits.clone().unwrap_or_default()
    }

    /// Tells the first mistake.
    pub(crate) fn checked(&mut self) -> Result<(), Error> {
        self.mistake.take().map_or(Ok(()), Err)
    }

    pub(crate) fn context(&self) -> CallContext {
        CallContext::new(self.principal.clone()).with_timeout(self.timeout())
    }

    pub(crate) fn tool_set(&self, server: Arc<dyn ToolServer>) -> ToolSetBuilder {
        let builder = ToolSet::builder(server)
            .principal(self.principal.clone())
            .timeout(self.timeout())
            .middleware_stack(&self.middleware);
        self.shape(builder)
    }

    /// Which tools, under which names.
    pub(crate) fn shape(&self, builder: ToolSetBuilder) -> ToolSetBuilder {
        let builder = builder.prefix(&self.prefix).disabled(&self.disabled);
        match &self.enabled {
            Some(enabled) => builder.enabled(enabled),
            None => builder,
        }
    }

    /// Loads, by way of the cache if there is one. `credentials` gives those that the server would
    /// be asked with now; only the cache wants to know.
    #[cfg(feature = "cache")]
    pub(crate) async fn load(
        &self,
        server: Arc<dyn ToolServer>,
        credentials: impl Future<Output = Result<Credentials, Error>>,
    ) -> Result<ToolSet, Error> {
        let context = self.context();
        let builder = self.tool_set(server);
        let Some(cache) = &self.cache else {
            return builder.load(&context).await;
        };
        let found = context
            .bound(self.timeout(), "waiting for credentials", credentials)
            .await;
        let found = found.map_err(|error| error.at_server(builder.server().id()))?;
        cache.get_or_load(&builder, &found, &context).await
    }

    /// Loads.
    #[cfg(not(feature = "cache"))]
    pub(crate) async fn load<C>(
        &self,
        server: Arc<dyn ToolServer>,
        _credentials: C,
    ) -> Result<ToolSet, Error> {
        self.tool_set(server).load(&self.context()).await
    }
}

/// The settings that every loader offers, written once.
macro_rules! shared_settings {
    () => {
        /// The server's name in errors, audit records, caches and on tools. Default: what it is
        /// reached by.
        pub fn named<T>(mut self, name: T) -> Self
        where
            T: TryInto<mcp_core::ServerId>,
            T::Error: Into<mcp_core::Error>,
        {
            self.settings
                .set(name.try_into(), |settings, id| settings.id = Some(id));
            self
        }

        /// On whose behalf tools are loaded and called. Default: user `local`.
        pub fn principal<T>(mut self, principal: T) -> Self
        where
            T: TryInto<mcp_core::Principal>,
            T::Error: Into<mcp_core::Error>,
        {
            self.settings
                .set(principal.try_into(), |settings, principal| {
                    settings.principal = principal
                });
            self
        }

        /// The time for the load, and for each call, everything included. Default 30 s.
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.set_timeout(timeout);
            self
        }

        /// Adds what happens around every call, inside what was added before.
        pub fn middleware(mut self, middleware: impl mcp_adapter::Middleware + 'static) -> Self {
            self.settings.middleware = self.settings.middleware.with(middleware);
            self
        }

        /// Every bound. Default: [`Limits::default`](mcp_core::Limits).
        pub fn limits(mut self, limits: mcp_core::Limits) -> Self {
            self.settings.limits = Some(limits);
            self
        }

        /// A prefix of every tool's name, such as `github_`; names on the server stay.
        pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
            self.settings.prefix = prefix.into();
            self
        }

        /// Only these tools, by their names on the server.
        pub fn enabled(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
            self.settings.enabled = Some(names.into_iter().map(Into::into).collect());
            self
        }

        /// Not these tools, by their names on the server.
        pub fn disabled(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
            self.settings.disabled = names.into_iter().map(Into::into).collect();
            self
        }

        /// Keeps the loaded tools, per server, principal and credentials.
        #[cfg(feature = "cache")]
        pub fn cache(mut self, cache: &mcp_tool_cache::ToolCache) -> Self {
            self.settings.cache = Some(cache.clone());
            self
        }
    };
}
pub(crate) use shared_settings;
