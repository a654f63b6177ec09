//! Tools of a server behind a URL.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use mcp_adapter::ToolSet;
use mcp_auth::{
    Anonymous, Combined, Contained, CredentialError, CredentialProvider, CredentialRequest,
    Credentials, Fingerprint, Headers, InvalidHeader, PerPrincipal, Principal, RefreshingToken,
    SecretString, SharedProvider, Token, TokenContext, from_fn,
};
use mcp_core::{BoxFuture, Error, ProtocolVersion, ServerId, ToolServer};
use mcp_http::{HttpClient, HttpServer, HttpServerBuilder, HttpUrl, TransportChoice};

use crate::loading::{Settings, shared_settings};
use crate::shared_client::shared_client;

/// The longest name that a server gets from its URL, in bytes.
const MAX_ID: usize = 200;

/// A change of what the transport is set up with.
type Change = Box<dyn FnOnce(HttpServerBuilder) -> HttpServerBuilder + Send + Sync>;

/// Loads the tools of a server behind a URL. Say with which credentials, then `.await`.
///
/// ```no_run
/// use mcp_toolkit::load_mcp_tools_http;
///
/// # async fn run() -> Result<(), mcp_toolkit::core::Error> {
/// let tools = load_mcp_tools_http("https://mcp.example.com/mcp")
///     .bearer("test-token")
///     .header("X-Tenant-Id", "acme")
///     .await?;
/// let output = tools.get("search")?.call(serde_json::json!({ "query": "rust" })).await?;
/// # Ok(())
/// # }
/// ```
///
/// The headers ride on every request: the first contact, the list, each call. Without
/// [`client`](HttpLoader::client) all loads of a runtime share one client and its connections.
/// [`guide`](crate::guide) has a chapter per task.
pub fn load_mcp_tools_http(url: impl Into<String>) -> HttpLoader {
    HttpLoader {
        url: url.into(),
        settings: Settings::new(),
        bearer: None,
        headers: Vec::new(),
        providers: Vec::new(),
        per_principal: Vec::new(),
        token_capacity: None,
        client: None,
        transport: TransportChoice::Auto,
        protocol: None,
        extensions: Vec::new(),
        changes: Vec::new(),
    }
}

/// What [`load_mcp_tools_http`] loads, and with what. Awaiting it loads.
///
/// | to say | call | default |
/// |---|---|---|
/// | with what | [`bearer`](Self::bearer), [`bearer_from`](Self::bearer_from), [`bearer_per_principal`](Self::bearer_per_principal) with [`token_capacity`](Self::token_capacity), [`header`](Self::header), [`headers`](Self::headers), [`header_from`](Self::header_from), `oauth`, [`credentials`](Self::credentials) | nothing is sent |
/// | for whom | [`principal`](Self::principal) | user `local` |
/// | under which name | [`named`](Self::named) | host and path |
/// | which tools | [`enabled`](Self::enabled), [`disabled`](Self::disabled), [`pinned`](Self::pinned), [`prefix`](Self::prefix) | all, unpinned, no prefix |
/// | around each call | [`middleware`](Self::middleware) | nothing |
/// | kept where | [`cache`](Self::cache) | nowhere: each load asks the server |
/// | how long, how much | [`timeout`](Self::timeout), [`limits`](Self::limits) | 30 s, [`Limits::default`](mcp_core::Limits) |
/// | the way there | [`client`](Self::client), [`transport`](Self::transport), [`protocol`](Self::protocol), [`extension`](Self::extension), [`with_server`](Self::with_server) | one client per runtime, what the server speaks |
///
/// # Errors
/// A mistake in the settings (a malformed URL, a header value with a line break, a header that is
/// set twice) is told when it is awaited, before anything is sent. Everything that can happen on
/// the way to the server is an [`Error`] of its own kind; [`guide::errors`](crate::guide::errors)
/// says what to do about each.
///
/// # Cancellation
/// Dropping the future stops the load. Tools that are there already are not affected.
pub struct HttpLoader {
    url: String,
    pub(crate) settings: Settings,
    bearer: Option<SecretString>,
    headers: Vec<(String, SecretString)>,
    pub(crate) providers: Vec<SharedProvider>,
    pub(crate) per_principal: Vec<PerPrincipal>,
    pub(crate) token_capacity: Option<usize>,
    pub(crate) client: Option<HttpClient>,
    transport: TransportChoice,
    protocol: Option<ProtocolVersion>,
    extensions: Vec<String>,
    changes: Vec<Change>,
}

impl HttpLoader {
    shared_settings!();

    /// Sends `Authorization: Bearer <token>`. A token that begins with `Bearer` is not doubled. A
    /// token that ends belongs in [`bearer_from`](Self::bearer_from): this one is sent as it is
    /// until the tools are loaded anew.
    pub fn bearer(mut self, token: impl Into<SecretString>) -> Self {
        self.bearer = Some(token.into());
        self
    }

    /// Sends `Authorization: Bearer <token>` with a token that is fetched when it is needed:
    /// before the first request, shortly before it ends, and after a 401. One fetch serves
    /// everybody who waits, and may take 30 s.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use mcp_toolkit::load_mcp_tools_http;
    /// use mcp_toolkit::auth::{CredentialError, Token};
    ///
    /// async fn fetch_token() -> Result<Token, CredentialError> {
    ///     Ok(Token::new("test-token").expires_in(Duration::from_secs(300)))
    /// }
    ///
    /// # async fn run() -> Result<(), mcp_toolkit::Error> {
    /// let tools = load_mcp_tools_http("https://mcp.example.com/mcp")
    ///     .bearer_from(fetch_token)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The token is this loader's own and all principals' of its tools. Where every request loads
    /// tools, make one [`RefreshingToken`] and give its clones to [`credentials`](Self::credentials),
    /// or use a `McpToolkit`. A [`RefreshingToken`] of your own also has settings, and a store.
    pub fn bearer_from<F, T>(self, fetch: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<Token, CredentialError>> + Send + 'static,
    {
        self.credentials(RefreshingToken::new(move |_: TokenContext| fetch()))
    }

    /// [`bearer_from`](Self::bearer_from) with a token of each principal's own: the closure is told
    /// whose. For a server that many users share, as in a `McpToolkit`.
    ///
    /// ```no_run
    /// # use mcp_toolkit::auth::{CredentialError, Token};
    /// use mcp_toolkit::{McpToolkit, Principal, load_mcp_tools_http};
    ///
    /// # async fn fetch_token_of(user: &str) -> Result<Token, CredentialError> { Ok(Token::new(user)) }
    /// # fn run() -> Result<(), mcp_toolkit::Error> {
    /// let server = load_mcp_tools_http("https://mcp.example.com/mcp")
    ///     .bearer_per_principal(|user: Principal| async move { fetch_token_of(user.user()).await });
    /// let toolkit = McpToolkit::builder().server("search", server).build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Tokens of so many principals are held as [`token_capacity`](Self::token_capacity) says, each
    /// until an hour after its last use; a [`PerPrincipal`] of your own has settings for both.
    pub fn bearer_per_principal<F, T>(mut self, fetch: F) -> Self
    where
        F: Fn(Principal) -> T + Send + Sync + 'static,
        T: Future<Output = Result<Token, CredentialError>> + Send + 'static,
    {
        let fetch = Arc::new(fetch);
        self.per_principal
            .push(PerPrincipal::new(move |_, principal| {
                let (fetch, principal) = (Arc::clone(&fetch), principal.clone());
                Ok(RefreshingToken::new(move |_: TokenContext| {
                    fetch(principal.clone())
                }))
            }));
        self
    }

    /// How many principals' tokens [`bearer_per_principal`](Self::bearer_per_principal) holds; beyond
    /// that, those make room that were not used for the longest time, and are fetched anew when their
    /// users come back. Default 10,000, or what a toolkit is
    /// [built for](crate::McpToolkitBuilder::max_principals).
    pub fn token_capacity(mut self, principals: usize) -> Self {
        self.token_capacity = Some(principals);
        self
    }

    /// Sends a header, such as `X-API-Key`. Its value is a secret.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends several headers.
    pub fn headers<N, V>(mut self, headers: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<SecretString>,
    {
        self.headers.extend(
            headers
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        self
    }

    /// Sends a header whose value is made anew for every request, such as a trace id. It is not part
    /// of what tells one user's tools from another's.
    ///
    /// ```
    /// # use mcp_toolkit::load_mcp_tools_http;
    /// # fn new_trace_id() -> String { "test-trace".to_owned() }
    /// let loader = load_mcp_tools_http("https://mcp.example.com/mcp")
    ///     .bearer("test-token")
    ///     .header_from("X-Trace-Id", new_trace_id);
    /// ```
    pub fn header_from<V: Into<SecretString>>(
        self,
        name: impl Into<String>,
        value: impl Fn() -> V + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        self.credentials(from_fn(move |_| {
            let header = Credentials::builder().volatile_header(&name, value())?;
            Ok(header.build()?)
        }))
    }

    /// Asks a provider at every request. Headers given besides are sent as well, and a second
    /// provider adds its own; two that set the same header are an error. One that panics fails the
    /// request that it was asked for ([`Contained`]).
    pub fn credentials(mut self, provider: impl CredentialProvider + 'static) -> Self {
        self.providers.push(Arc::new(Contained::new(provider)));
        self
    }

    /// [`credentials`](Self::credentials) by MCP's authorization rules, for everybody: the
    /// [`OAuth`](mcp_oauth::OAuth) keeps principals apart. Declares the extension that its grant
    /// belongs to. Keep a clone to complete authorizations with.
    #[cfg(feature = "oauth")]
    pub fn oauth(mut self, oauth: &mcp_oauth::OAuth) -> Self {
        self.extensions.extend(oauth.extension().map(str::to_owned));
        self.credentials(oauth.clone())
    }

    /// Goes through this client instead of the one that all loads of a runtime share: for
    /// certificates of your own, a proxy, another policy on addresses.
    pub fn client(mut self, client: &HttpClient) -> Self {
        self.client = Some(client.clone());
        self
    }

    /// Which transport to speak. Default: find out, once per server and client.
    pub fn transport(mut self, transport: TransportChoice) -> Self {
        self.transport = transport;
        self
    }

    /// The one protocol version to speak. Default: the newest that both sides know.
    pub fn protocol(mut self, version: ProtocolVersion) -> Self {
        self.protocol = Some(version);
        self
    }

    /// Declares an extension of the protocol to the server, by its name. Default: none.
    pub fn extension(mut self, name: impl Into<String>) -> Self {
        self.extensions.push(name.into());
        self
    }

    /// Sets what the transport can do and this loader has no word for: who answers a server's
    /// questions ([`input`](HttpServerBuilder::input)), whether it is listened to between calls
    /// ([`listen`](HttpServerBuilder::listen)), who the client says it is. Name, credentials and
    /// client stay this loader's.
    ///
    /// ```
    /// # use mcp_toolkit::load_mcp_tools_http;
    /// let loader = load_mcp_tools_http("https://mcp.example.com/mcp")
    ///     .with_server(|server| server.listen(true));
    /// ```
    pub fn with_server(
        mut self,
        change: impl FnOnce(HttpServerBuilder) -> HttpServerBuilder + Send + Sync + 'static,
    ) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// The server, and who is asked for its credentials.
    pub(crate) fn open(&mut self) -> Result<(HttpServer, SharedProvider), Error> {
        self.settings.checked()?;
        let headers = std::mem::take(&mut self.headers);
        let mut given = std::mem::take(&mut self.providers);
        for provider in std::mem::take(&mut self.per_principal) {
            given.push(Arc::new(match self.token_capacity {
                Some(principals) => provider.capacity(principals),
                None => provider,
            }));
        }
        let provider = provider(self.bearer.take(), headers, given)?;
        let client = self.client.take().map_or_else(shared_client, Ok)?;
        let id = match self.settings.id.take() {
            Some(id) => id,
            None => default_id(&self.url)?,
        };
        let mut server = HttpServer::builder(&self.url)
            .transport(self.transport)
            .protocol(self.protocol)
            .limits(self.settings.limits());
        for name in &self.extensions {
            server = server.extension(name);
        }
        for change in std::mem::take(&mut self.changes) {
            server = change(server);
        }
        // Last: what tools are kept under has to be what they are called with.
        let server = server
            .id(id)
            .credentials(Arc::clone(&provider))
            .client(client);
        Ok((server.build()?, provider))
    }

    async fn load(mut self) -> Result<ToolSet, Error> {
        let (server, provider) = self.open()?;
        let id = server.id().clone();
        let principal = self.settings.principal.clone();
        let credentials = async {
            let request = CredentialRequest::new(&id, &principal);
            Ok::<_, Error>(provider.credentials(request).await?)
        };
        self.settings.load(Arc::new(server), credentials).await
    }
}

/// Host and path. What else tells endpoints apart, such as a query, may be secret: it is there as a
/// fingerprint.
fn default_id(url: &str) -> Result<ServerId, Error> {
    let parsed = HttpUrl::parse(url)?;
    let path = parsed.path().trim_end_matches('/');
    let mut name = format!("{}{path}", parsed.peer());
    if url.contains(['?', '#']) || name.len() > MAX_ID {
        let end = name
            .char_indices()
            .map(|(at, _)| at)
            .take_while(|at| *at < MAX_ID)
            .last();
        name.truncate(end.unwrap_or(0));
        name = format!("{name}#{}", Fingerprint::of([url.as_bytes()]));
    }
    Ok(ServerId::new(name)?)
}

/// All that was given, as one provider.
fn provider(
    bearer: Option<SecretString>,
    headers: Vec<(String, SecretString)>,
    providers: Vec<SharedProvider>,
) -> Result<SharedProvider, InvalidHeader> {
    let mut fixed = Credentials::builder();
    if let Some(token) = bearer {
        fixed = fixed.bearer(token)?;
    }
    for (name, value) in headers {
        fixed = fixed.header(&name, value)?;
    }
    let fixed = fixed.build()?;
    let fixed = (!fixed.is_anonymous()).then(|| Arc::new(Headers::from(fixed)) as SharedProvider);
    let mut all = providers.into_iter().chain(fixed);
    let Some(mut combined) = all.next() else {
        return Ok(Arc::new(Anonymous::new()));
    };
    for next in all {
        combined = Arc::new(Combined::new(combined, next)?);
    }
    Ok(combined)
}

impl IntoFuture for HttpLoader {
    type Output = Result<ToolSet, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.load())
    }
}

/// Shows what is not secret. The URL's query may be; the name says enough.
impl fmt::Debug for HttpLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpLoader")
            .field("settings", &self.settings)
            .field("bearer", &self.bearer.is_some())
            .field("headers", &names)
            .field("providers", &self.providers)
            .field("per_principal", &self.per_principal)
            .field("transport", &self.transport)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
