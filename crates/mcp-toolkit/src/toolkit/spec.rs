//! How a toolkit's server is described: as for a single load.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_auth::{Anonymous, SharedProvider};
use mcp_core::{Error, Limits, ServerId, ToolServer};

use super::member::Reach;
use crate::loading::Settings;

/// A server for an [`McpToolkit`](super::McpToolkit): the same description that loads the tools of
/// one principal, or a [`ToolServer`] of your own.
///
/// A principal or a cache that was set on a loader is not used: the toolkit has its own.
pub struct ToolkitServer(Kind);

enum Kind {
    #[cfg(feature = "http")]
    Http(Box<crate::HttpLoader>),
    #[cfg(feature = "stdio")]
    Stdio(Box<crate::StdioLoader>),
    #[cfg(feature = "config")]
    Config(Box<crate::config::ServerConfig>),
    Own(Arc<dyn ToolServer>),
}

/// What holds where a server's own description says nothing.
pub(super) struct Defaults {
    #[cfg(feature = "http")]
    pub(super) client: mcp_http::HttpClient,
    #[cfg(feature = "oauth")]
    pub(super) store: Option<mcp_auth::SharedStore>,
    pub(super) limits: Limits,
    /// Whose tokens are held, where there is no other word.
    #[cfg(feature = "http")]
    pub(super) principals: Option<usize>,
}

/// A server that is ready for its first request.
pub(super) struct Opened {
    pub(super) reach: Reach,
    pub(super) provider: SharedProvider,
    pub(super) settings: Settings,
    pub(super) startup: Duration,
    pub(super) call: Duration,
}

impl ToolkitServer {
    /// Whether it is run here.
    pub(super) fn is_program(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "stdio")]
            Kind::Stdio(_) => true,
            #[cfg(feature = "config")]
            Kind::Config(config) => matches!(config.endpoint, crate::config::Endpoint::Stdio(_)),
            _ => false,
        }
    }

    pub(super) fn open(
        self,
        id: &ServerId,
        credentials: Option<SharedProvider>,
        defaults: &Defaults,
    ) -> Result<Opened, Error> {
        match self.0 {
            #[cfg(feature = "http")]
            Kind::Http(loader) => http(*loader, id, credentials, defaults),
            #[cfg(feature = "stdio")]
            Kind::Stdio(_) if credentials.is_some() => Err(Error::config(
                "a child process has no use for credentials of a request; give it a variable",
            )),
            #[cfg(feature = "stdio")]
            Kind::Stdio(loader) => stdio(*loader, id, defaults),
            #[cfg(feature = "config")]
            Kind::Config(config) => {
                let given = crate::config::Given {
                    credentials,
                    client: &defaults.client,
                    #[cfg(feature = "oauth")]
                    store: defaults.store.as_ref(),
                    limits: &defaults.limits,
                    principals: defaults.principals,
                };
                let mut opened = match config.for_everybody(given)? {
                    crate::config::Loader::Http(loader) => http(loader, id, None, defaults),
                    crate::config::Loader::Stdio(loader) => stdio(loader, id, defaults),
                }?;
                let limit = &defaults.limits.call_timeout;
                opened.call = config.tool_timeout.unwrap_or(*limit);
                Ok(opened)
            }
            Kind::Own(server) => Ok(Opened {
                reach: Reach::Own(server),
                provider: credentials.unwrap_or_else(|| Arc::new(Anonymous::new())),
                settings: Settings::new(),
                startup: defaults.limits.startup_timeout,
                call: defaults.limits.call_timeout,
            }),
        }
    }
}

#[cfg(feature = "http")]
fn http(
    mut loader: crate::HttpLoader,
    id: &ServerId,
    credentials: Option<SharedProvider>,
    defaults: &Defaults,
) -> Result<Opened, Error> {
    loader.client.get_or_insert_with(|| defaults.client.clone());
    if let Some(credentials) = credentials {
        loader.providers = vec![credentials];
        loader.per_principal.clear();
    }
    loader.token_capacity = loader.token_capacity.or(defaults.principals);
    let (startup, call) = prepare(&mut loader.settings, id, defaults);
    let (server, provider) = loader.open()?;
    Ok(Opened {
        reach: Reach::Http(server),
        provider,
        settings: loader.settings,
        startup,
        call,
    })
}

#[cfg(feature = "stdio")]
fn stdio(
    mut loader: crate::StdioLoader,
    id: &ServerId,
    defaults: &Defaults,
) -> Result<Opened, Error> {
    let own = loader.environment.iter().filter_map(|(_, value)| {
        let mcp_stdio::EnvValue::Credential(provider) = value else {
            return None;
        };
        Some(Arc::new(mcp_auth::Contained::new(Arc::clone(provider))) as SharedProvider)
    });
    let own: Vec<SharedProvider> = own.collect();
    let provider: SharedProvider = if own.is_empty() {
        Arc::new(Anonymous::new())
    } else {
        Arc::new(super::child::ChildCredentials(own))
    };
    let (startup, call) = prepare(&mut loader.settings, id, defaults);
    let server = loader.open()?;
    Ok(Opened {
        reach: Reach::Stdio(Box::new(server)),
        provider,
        settings: loader.settings,
        startup,
        call,
    })
}

#[cfg(any(feature = "http", feature = "stdio"))]
fn prepare(settings: &mut Settings, id: &ServerId, defaults: &Defaults) -> (Duration, Duration) {
    settings.id = Some(id.clone());
    let limits = settings
        .limits
        .get_or_insert_with(|| defaults.limits.clone());
    let (startup, call) = (limits.startup_timeout, limits.call_timeout);
    let own = settings.own_timeout();
    (own.unwrap_or(startup), own.unwrap_or(call))
}

#[cfg(feature = "http")]
impl From<crate::HttpLoader> for ToolkitServer {
    fn from(loader: crate::HttpLoader) -> Self {
        Self(Kind::Http(Box::new(loader)))
    }
}

#[cfg(feature = "stdio")]
impl From<crate::StdioLoader> for ToolkitServer {
    fn from(loader: crate::StdioLoader) -> Self {
        Self(Kind::Stdio(Box::new(loader)))
    }
}

#[cfg(feature = "config")]
impl From<crate::config::ServerConfig> for ToolkitServer {
    fn from(config: crate::config::ServerConfig) -> Self {
        Self(Kind::Config(Box::new(config)))
    }
}

impl From<Arc<dyn ToolServer>> for ToolkitServer {
    fn from(server: Arc<dyn ToolServer>) -> Self {
        Self(Kind::Own(server))
    }
}

impl fmt::Debug for ToolkitServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            #[cfg(feature = "http")]
            Kind::Http(loader) => loader.fmt(f),
            #[cfg(feature = "stdio")]
            Kind::Stdio(loader) => loader.fmt(f),
            #[cfg(feature = "config")]
            Kind::Config(config) => config.fmt(f),
            Kind::Own(server) => server.fmt(f),
        }
    }
}
