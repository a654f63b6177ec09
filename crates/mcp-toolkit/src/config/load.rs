//! From an entry of the file to the tools of its server.

mod credentials;

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use mcp_adapter::{Middleware, MiddlewareStack, ToolSet};
use mcp_auth::{SecretScope, SharedProvider};
use mcp_core::{BoxFuture, Error, Limits, Principal};
use mcp_http::{HttpClient, TransportChoice};

#[cfg(feature = "oauth")]
pub(crate) use self::credentials::with_principal;
use super::auth::AuthConfig;
use super::error::{ConfigError, Place};
use super::server::{Endpoint, HttpConfig, HttpTransport, ServerConfig, StdioConfig};
use crate::{HttpLoader, StdioLoader, load_mcp_tools_http, load_mcp_tools_stdio};

/// What both kinds of loaders are told.
macro_rules! shared {
    ($self:ident, $loader:ident, $principal:ident) => {{
        let limits = $self.limits();
        let config = &$self.config;
        let mut loader = $loader
            .named(&config.id)
            .principal($principal)
            .timeout(limits.startup_timeout)
            .limits(limits)
            .disabled(&config.disabled_tools);
        if let Some(names) = &config.enabled_tools {
            loader = loader.enabled(names);
        }
        if let Some(prefix) = &config.tool_name_prefix {
            loader = loader.prefix(prefix);
        }
        for middleware in $self.middleware.iter() {
            loader = loader.middleware(Arc::clone(middleware));
        }
        #[cfg(feature = "cache")]
        if let Some(cache) = &$self.cache {
            loader = loader.cache(cache);
        }
        loader
    }};
}

impl ServerConfig {
    /// Loads the server's tools. Say for whom, then `.await`.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), mcp_toolkit::core::Error> {
    /// let config = mcp_toolkit::config::Config::load("mcp.json")?;
    /// let tools = config.server("github")?.loader().principal("alice").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn loader(&self) -> ServerLoader {
        ServerLoader {
            config: self.clone(),
            principal: Ok(Principal::local()),
            middleware: MiddlewareStack::new(),
            client: None,
            scope: SecretScope::new(),
            limits: Limits::default(),
            #[cfg(feature = "oauth")]
            store: None,
            #[cfg(feature = "cache")]
            cache: None,
        }
    }
}

/// What [`ServerConfig::loader`] loads, and for whom. Awaiting it resolves the entry's references
/// and loads.
///
/// # Errors
/// [`Failure::Config`](mcp_core::Failure) with server and field for a variable that is not set, a
/// header that cannot be sent, or what is not supported yet; everything else as the loader of the
/// server's kind has it.
pub struct ServerLoader {
    config: ServerConfig,
    principal: Result<Principal, Error>,
    middleware: MiddlewareStack,
    client: Option<HttpClient>,
    scope: SecretScope,
    /// What holds where the entry says nothing else.
    pub(super) limits: Limits,
    #[cfg(feature = "oauth")]
    store: Option<mcp_auth::SharedStore>,
    #[cfg(feature = "cache")]
    cache: Option<mcp_tool_cache::ToolCache>,
}

impl ServerLoader {
    /// On whose behalf tools are loaded and called. Default: user `local`.
    pub fn principal<T>(mut self, principal: T) -> Self
    where
        T: TryInto<Principal>,
        T::Error: Into<Error>,
    {
        self.principal = principal.try_into().map_err(Into::into);
        self
    }

    /// Adds what happens around every call, inside what was added before.
    pub fn middleware(mut self, middleware: impl Middleware + 'static) -> Self {
        self.middleware = self.middleware.with(middleware);
        self
    }

    /// Goes through this client instead of the one that loads share.
    pub fn client(mut self, client: &HttpClient) -> Self {
        self.client = Some(client.clone());
        self
    }

    /// Where headers and tokens find the variables and files that they refer to. Default: the
    /// process's surroundings.
    pub fn scope(mut self, scope: SecretScope) -> Self {
        self.scope = scope;
        self
    }

    /// Where logins (`auth` of type `oauth`) are kept. Default: the memory of this process.
    #[cfg(feature = "oauth")]
    pub fn token_store(mut self, store: mcp_auth::SharedStore) -> Self {
        self.store = Some(store);
        self
    }

    /// The provider of an entry whose `auth` is of type `oauth`, to log in and out with; `None` for
    /// every other entry.
    ///
    /// # Errors
    /// As [`ServerConfig::oauth`].
    #[cfg(feature = "oauth")]
    pub fn oauth(&self) -> Result<Option<mcp_oauth::OAuth>, Error> {
        let client = match &self.client {
            Some(client) => Some(client.clone()),
            None => crate::shared_client::shared_client().ok(),
        };
        self.config.oauth(&super::OAuthSurroundings {
            store: self.store.clone(),
            client,
            scope: self.scope.clone(),
        })
    }

    /// What the entry says about headers and tokens, as one provider, after its mistakes were looked
    /// for; `None` where it says nothing. For whoever explains what is sent.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure) with server and field.
    pub async fn credentials(&self) -> Result<Option<SharedProvider>, Error> {
        let principal = self.principal.as_ref().map_err(Error::clone)?;
        match &self.config.endpoint {
            Endpoint::Http(http) => {
                self.check_http(http).await?;
                self.provider(http, principal)
            }
            Endpoint::Stdio(_) => Ok(None),
        }
    }

    /// The entry's child as a server that has not been started; `None` where the entry is no child.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure) with server and field.
    pub async fn child(&self) -> Result<Option<mcp_stdio::StdioServer>, Error> {
        let principal = self.principal.as_ref().map_err(Error::clone)?;
        match &self.config.endpoint {
            Endpoint::Http(_) => Ok(None),
            Endpoint::Stdio(stdio) => {
                for (_, secret) in &stdio.env {
                    self.at_hand(secret).await?;
                }
                self.stdio_loader(stdio, principal)?.open().map(Some)
            }
        }
    }

    /// Keeps the loaded tools, per server, principal and credentials.
    #[cfg(feature = "cache")]
    pub fn cache(mut self, cache: &mcp_tool_cache::ToolCache) -> Self {
        self.cache = Some(cache.clone());
        self
    }

    async fn load(mut self) -> Result<ToolSet, Error> {
        let principal = std::mem::replace(&mut self.principal, Ok(Principal::local()))?;
        let loaded = match &self.config.endpoint {
            Endpoint::Http(http) => self.http(http, &principal).await?,
            Endpoint::Stdio(stdio) => self.stdio(stdio, &principal).await?,
        };
        Ok(loaded.with_timeout(self.limits().call_timeout))
    }

    async fn http(&self, http: &HttpConfig, principal: &Principal) -> Result<ToolSet, Error> {
        self.check_http(http).await?;
        let provider = self.provider(http, principal)?;
        self.http_loader(http, provider, principal)?.await
    }

    pub(super) fn http_loader(
        &self,
        http: &HttpConfig,
        provider: Option<SharedProvider>,
        principal: &Principal,
    ) -> Result<HttpLoader, Error> {
        let mut loader = load_mcp_tools_http(http.url.as_str()).transport(match http.transport {
            HttpTransport::Auto => TransportChoice::Auto,
            HttpTransport::Http => TransportChoice::Http,
            HttpTransport::Sse => TransportChoice::Sse,
        });
        if let Some(provider) = provider {
            loader = loader.credentials(provider);
        }
        if let Some(client) = self.client_of(http)? {
            loader = loader.client(&client);
        }
        if let Some(version) = self.config.protocol {
            loader = loader.protocol(version);
        }
        if let Some(AuthConfig::OAuth(oauth)) = &http.auth
            && let Some(extension) = oauth.grant.extension()
        {
            loader = loader.extension(extension);
        }
        Ok(shared!(self, loader, principal))
    }

    /// The client that goes where the entry allows; `None` where the loader's own will do.
    fn client_of(&self, http: &HttpConfig) -> Result<Option<HttpClient>, Error> {
        let Some(hosts) = &http.allowed_hosts else {
            return Ok(self.client.clone());
        };
        let client = match &self.client {
            Some(client) => client.clone(),
            None => crate::shared_client::shared_client()?,
        };
        Ok(Some(client.limited_to(hosts)))
    }

    async fn stdio(&self, stdio: &StdioConfig, principal: &Principal) -> Result<ToolSet, Error> {
        for (_, secret) in &stdio.env {
            // Asked for here, where a mistake can be told with its place.
            self.at_hand(secret).await?;
        }
        self.stdio_loader(stdio, principal)?.await
    }

    pub(super) fn stdio_loader(
        &self,
        stdio: &StdioConfig,
        principal: &Principal,
    ) -> Result<StdioLoader, Error> {
        let mut loader = load_mcp_tools_stdio(&stdio.command)
            // The file's reader has refused references to secrets.
            .literal_args(&stdio.args)
            .env_from(&stdio.env_from)
            .allow_unsafe_env(&stdio.allow_unsafe_env);
        for (name, secret) in &stdio.env {
            loader = loader.env(name, secret.reference().clone());
        }
        for name in &stdio.env_from {
            if std::env::var_os(name).is_none() {
                let problem = format!("environment variable `{name}` is not set");
                return Err(self.wrong("envFrom", problem));
            }
        }
        if stdio.inherit_env {
            loader = loader.inherit_env();
        }
        if let Some(directory) = &stdio.cwd {
            loader = loader.cwd(directory);
        }
        if let Some(count) = stdio.max_children {
            loader = loader.max_children(count);
        }
        if let Some(version) = self.config.protocol {
            loader = loader.protocol(version);
        }
        Ok(shared!(self, loader, principal))
    }

    fn wrong(&self, field: &str, problem: impl Into<String>) -> Error {
        let place = Place {
            server: Some(self.config.id.as_str().into()),
            field: Some(field.into()),
            ..Place::default()
        };
        ConfigError::new(place, problem.into()).into()
    }

    fn limits(&self) -> Limits {
        let mut limits = self.limits.clone();
        if let Some(timeout) = self.config.startup_timeout {
            limits.startup_timeout = timeout;
        }
        if let Some(timeout) = self.config.tool_timeout {
            limits.call_timeout = timeout;
        }
        limits
    }
}

impl IntoFuture for ServerLoader {
    type Output = Result<ToolSet, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.load())
    }
}

impl fmt::Debug for ServerLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLoader")
            .field("config", &self.config)
            .field("principal", &self.principal)
            .field("middleware", &self.middleware)
            .finish_non_exhaustive()
    }
}
