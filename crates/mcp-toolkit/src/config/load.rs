//! From an entry of the file to the tools of its server.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use mcp_adapter::{Middleware, MiddlewareStack, ToolSet};
use mcp_auth::{
    Combined, CommandToken, Credentials, HeadersHelper, RefreshingToken, SecretHeaders, SecretKind,
    SecretScope, SecretString, SharedProvider,
};
use mcp_core::{BoxFuture, Error, Limits, Principal};
use mcp_http::{HttpClient, TransportChoice};

use super::auth::AuthConfig;
use super::error::{ConfigError, Place};
use super::secret::ConfiguredSecret;
use super::server::{Endpoint, HttpConfig, HttpTransport, ServerConfig, StdioConfig};
use crate::{load_mcp_tools_http, load_mcp_tools_stdio};

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
        let default = Limits::default().call_timeout;
        Ok(loaded.with_timeout(self.config.tool_timeout.unwrap_or(default)))
    }

    async fn http(&self, http: &HttpConfig, principal: &Principal) -> Result<ToolSet, Error> {
        let mut loader = load_mcp_tools_http(http.url.as_str()).transport(match http.transport {
            HttpTransport::Auto => TransportChoice::Auto,
            HttpTransport::Http => TransportChoice::Http,
            HttpTransport::Sse => TransportChoice::Sse,
        });
        if let Some(provider) = self.provider(http, principal).await? {
            loader = loader.credentials(provider);
        }
        if let Some(client) = &self.client {
            loader = loader.client(client);
        }
        if let Some(version) = self.config.protocol {
            loader = loader.protocol(version);
        }
        shared!(self, loader, principal).await
    }

    async fn stdio(&self, stdio: &StdioConfig, principal: &Principal) -> Result<ToolSet, Error> {
        let mut loader = load_mcp_tools_stdio(&stdio.command)
            // The file's reader has refused references to secrets.
            .literal_args(&stdio.args)
            .env_from(&stdio.env_from)
            .allow_unsafe_env(&stdio.allow_unsafe_env);
        for (name, secret) in &stdio.env {
            // Asked for here, where a mistake can be told with its place.
            self.at_hand(secret).await?;
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
        if let Some(version) = self.config.protocol {
            loader = loader.protocol(version);
        }
        shared!(self, loader, principal).await
    }

    /// Everything that the entry says about headers and tokens.
    async fn provider(
        &self,
        http: &HttpConfig,
        principal: &Principal,
    ) -> Result<Option<SharedProvider>, Error> {
        let scope = self
            .scope
            .clone()
            .with_variable("MCPT_SERVER", self.config.id.as_str())
            .with_variable("MCPT_USER", principal.user())
            .with_variable("MCPT_TENANT", principal.tenant().unwrap_or_default());
        let mut headers = SecretHeaders::new();
        let mut providers: Vec<SharedProvider> = Vec::new();
        for (name, secret) in &http.headers {
            if let Some(value) = self.at_hand(secret).await? {
                let checked = Credentials::builder().header(name, value);
                checked.map_err(|error| secret.wrong(error))?;
            }
            let added = headers.header(name, secret.reference().clone());
            headers = added.map_err(|error| secret.wrong(error))?;
        }
        match &http.auth {
            Some(AuthConfig::Bearer(secret)) => {
                if let Some(token) = self.at_hand(secret).await? {
                    Credentials::bearer(token).map_err(|error| secret.wrong(error))?;
                }
                let added = headers.bearer(secret.reference().clone());
                headers = added.map_err(|error| secret.wrong(error))?;
            }
            Some(AuthConfig::Command(words)) => {
                let (program, arguments) = self.program("auth.command", words)?;
                let source = CommandToken::new(program, arguments).with_scope(scope.clone());
                providers.push(Arc::new(RefreshingToken::new(source)));
            }
            Some(AuthConfig::OAuth(_)) => {
                return Err(self.wrong("auth", "type `oauth` is not supported yet"));
            }
            None => {}
        }
        if let Some(words) = &http.headers_helper {
            let (program, arguments) = self.program("headersHelper", words)?;
            let helper = HeadersHelper::new(program, arguments).scope(scope.clone());
            providers.push(Arc::new(helper));
        }
        if !http.headers.is_empty() || matches!(http.auth, Some(AuthConfig::Bearer(_))) {
            providers.push(Arc::new(headers.scope(scope)));
        }
        let mut all = providers.into_iter();
        let Some(mut provider) = all.next() else {
            return Ok(None);
        };
        for next in all {
            let combined = Combined::new(provider, next);
            provider =
                Arc::new(combined.map_err(|error| self.wrong("headers", error.to_string()))?);
        }
        Ok(Some(provider))
    }

    /// The value, where it can be had without running anything.
    async fn at_hand(&self, secret: &ConfiguredSecret) -> Result<Option<SecretString>, Error> {
        match secret.reference().kind() {
            SecretKind::Command => Ok(None),
            _ => secret.resolve(&self.scope).await.map(Some),
        }
    }

    fn program<'w>(
        &self,
        field: &str,
        words: &'w [String],
    ) -> Result<(&'w String, &'w [String]), Error> {
        let split = words.split_first();
        split.ok_or_else(|| self.wrong(field, "names no program"))
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
        let mut limits = Limits::default();
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
