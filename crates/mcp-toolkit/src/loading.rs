//! What every loader has in common: for whom, how long, around and under which names.

use std::sync::Arc;
use std::time::Duration;

use mcp_adapter::{MiddlewareStack, ToolLock, ToolSet, ToolSetBuilder};
#[cfg(feature = "cache")]
use mcp_auth::Credentials;
use mcp_core::{CallContext, Error, Limits, Principal, ServerId, ToolServer};

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
    pub(crate) lock: Option<Arc<ToolLock>>,
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
            lock: None,
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

    /// The time that was asked for, for the load and for each call.
    #[cfg(feature = "cache")]
    pub(crate) fn own_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    /// The bounds. None of their times is shorter than the time that was asked for: it is kept from
    /// outside, by the deadline of the load or call.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = self.limits.clone().unwrap_or_default();
        if let Some(timeout) = self.timeout {
            limits.startup_timeout = limits.startup_timeout.max(timeout);
            limits.call_timeout = limits.call_timeout.max(timeout);
        }
        limits
    }

    /// The time for the load, and the one for each call.
    fn times(&self) -> (Duration, Duration) {
        self.timeout.map_or_else(
            || {
                let limits = self.limits();
                (limits.startup_timeout, limits.call_timeout)
            },
            |timeout| (timeout, timeout),
        )
    }

    /// Tells the first mistake.
    pub(crate) fn checked(&mut self) -> Result<(), Error> {
        self.mistake.take().map_or(Ok(()), Err)
    }

    pub(crate) fn context(&self) -> CallContext {
        CallContext::new(self.principal.clone()).with_timeout(self.times().0)
    }

    pub(crate) fn tool_set(&self, server: Arc<dyn ToolServer>) -> ToolSetBuilder {
        let builder = ToolSet::builder(server)
            .principal(self.principal.clone())
            .timeout(self.times().1)
            .middleware_stack(&self.middleware);
        self.shape(builder)
    }

    /// Which tools, under which names.
    pub(crate) fn shape(&self, builder: ToolSetBuilder) -> ToolSetBuilder {
        let builder = builder.prefix(&self.prefix).disabled(&self.disabled);
        let builder = match &self.lock {
            Some(lock) => builder.pinned(lock),
            None => builder,
        };
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
            .bound(Duration::MAX, "waiting for credentials", credentials)
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
        /// The server's name in errors, audit records, caches and on tools: up to 512 bytes
        /// without control characters. Default: what it is reached by.
        pub fn named<T>(mut self, name: T) -> Self
        where
            T: TryInto<mcp_core::ServerId>,
            T::Error: Into<mcp_core::Error>,
        {
            self.settings
                .set(name.try_into(), |settings, id| settings.id = Some(id));
            self
        }

        /// On whose behalf tools are loaded and called: a user's name, or a
        /// [`Principal`](mcp_core::Principal) with its tenant. Default: user `local`.
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

        /// The time for the load, and for each call, everything included: credentials, connecting,
        /// retries. Default: what [`limits`](Self::limits) says, 30 s. One call's own deadline goes with
        /// [`AgentTool::call_with`](mcp_adapter::AgentTool::call_with).
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.set_timeout(timeout);
            self
        }

        /// Adds what happens around every call, inside what was added before: the first is the
        /// outermost. Default: nothing.
        pub fn middleware(mut self, middleware: impl mcp_adapter::Middleware + 'static) -> Self {
            self.settings.middleware = self.settings.middleware.with(middleware);
            self
        }

        /// Every bound on sizes, counts and single waits. Reaching one is an error that names it.
        /// Default: [`Limits::default`](mcp_core::Limits). `startup_timeout` bounds the load and
        /// `call_timeout` each call, unless there is a [`timeout`](Self::timeout).
        pub fn limits(mut self, limits: mcp_core::Limits) -> Self {
            self.settings.limits = Some(limits);
            self
        }

        /// A prefix of every tool's name, such as `github_`: up to 32 letters, digits, `_` and `-`.
        /// Names on the server stay. Default: none.
        pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
            self.settings.prefix = prefix.into();
            self
        }

        /// Only these tools, by their names on the server; one that the server does not have is
        /// reported by [`ToolSet::skipped`](mcp_adapter::ToolSet::skipped). Default: all. For a
        /// rule, see [`ToolSet::retain`](mcp_adapter::ToolSet::retain).
        pub fn enabled(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
            self.settings.enabled = Some(names.into_iter().map(Into::into).collect());
            self
        }

        /// Not these tools, by their names on the server. Default: none.
        pub fn disabled(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
            self.settings.disabled = names.into_iter().map(Into::into).collect();
            self
        }

        /// Only tools whose definitions are what somebody approved of: those that are in the
        /// [`ToolLock`](mcp_adapter::ToolLock) and have not changed since. The others are reported
        /// by [`ToolSet::skipped`](mcp_adapter::ToolSet::skipped). Default: all.
        pub fn pinned(mut self, lock: &std::sync::Arc<mcp_adapter::ToolLock>) -> Self {
            self.settings.lock = Some(std::sync::Arc::clone(lock));
            self
        }

        /// Keeps the loaded tools there, per server, principal and credentials, and finds them
        /// there. Default: each load asks the server. Give servers in one cache different names, or
        /// none: the default tells them apart.
        #[cfg(feature = "cache")]
        pub fn cache(mut self, cache: &mcp_tool_cache::ToolCache) -> Self {
            self.settings.cache = Some(cache.clone());
            self
        }
    };
}
pub(crate) use shared_settings;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_asked_for_is_cut_by_no_other_bound() {
        let mut settings = Settings::new();
        assert_eq!(
            settings.times(),
            (Duration::from_secs(30), Duration::from_secs(30))
        );
        let minute = Duration::from_secs(60);
        let mut limits = Limits::default();
        limits.call_timeout = minute * 2;
        settings.limits = Some(limits);
        assert_eq!(settings.times().1, minute * 2);
        settings.set_timeout(minute);
        assert_eq!(settings.times(), (minute, minute));
        let limits = settings.limits();
        assert!(limits.startup_timeout >= minute && limits.call_timeout >= minute);
    }
}
