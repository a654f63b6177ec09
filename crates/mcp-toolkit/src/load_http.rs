//! Tools of a server behind a URL.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use mcp_adapter::ToolSet;
use mcp_auth::{
    Anonymous, Combined, CredentialProvider, CredentialRequest, Credentials, Fingerprint, Headers,
    InvalidHeader, SecretString, SharedProvider,
};
use mcp_core::{BoxFuture, Error, ProtocolVersion, ServerId, ToolServer};
use mcp_http::{HttpClient, HttpServer, HttpUrl, TransportChoice};

use crate::loading::{Settings, shared_settings};
use crate::shared_client::shared_client;

/// The longest name that a server gets from its URL, in bytes.
const MAX_ID: usize = 200;

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
pub fn load_mcp_tools_http(url: impl Into<String>) -> HttpLoader {
    HttpLoader {
        url: url.into(),
        settings: Settings::new(),
        bearer: None,
        headers: Vec::new(),
        provider: None,
        client: None,
        transport: TransportChoice::Auto,
        protocol: None,
        extensions: Vec::new(),
    }
}

/// What [`load_mcp_tools_http`] loads, and with what. Awaiting it loads.
///
/// # Errors
/// A mistake in the settings (a malformed URL, a header value with a line break) is told when it is
/// awaited, before anything is sent. Everything that can happen on the way to the server is an
/// [`Error`] of its own kind.
///
/// Dropping the future stops the load.
pub struct HttpLoader {
    url: String,
    pub(crate) settings: Settings,
    bearer: Option<SecretString>,
    headers: Vec<(String, SecretString)>,
    pub(crate) provider: Option<SharedProvider>,
    pub(crate) client: Option<HttpClient>,
    transport: TransportChoice,
    protocol: Option<ProtocolVersion>,
    extensions: Vec<String>,
}

impl HttpLoader {
    shared_settings!();

    /// Sends `Authorization: Bearer <token>`. A token that begins with `Bearer` is not doubled. For
    /// a token that ends, give [`credentials`](Self::credentials) a `RefreshingToken`.
    pub fn bearer(mut self, token: impl Into<SecretString>) -> Self {
        self.bearer = Some(token.into());
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

    /// Asks a provider at every request. Headers given besides are sent as well.
    pub fn credentials(mut self, provider: impl CredentialProvider + 'static) -> Self {
        self.provider = Some(Arc::new(provider));
        self
    }

    /// Goes through this client instead of the one that loads share.
    pub fn client(mut self, client: &HttpClient) -> Self {
        self.client = Some(client.clone());
        self
    }

    /// Which transport to speak. Default: find out.
    pub fn transport(mut self, transport: TransportChoice) -> Self {
        self.transport = transport;
        self
    }

    /// The one protocol version to speak. Default: the newest that both sides know.
    pub fn protocol(mut self, version: ProtocolVersion) -> Self {
        self.protocol = Some(version);
        self
    }

    /// Declares an extension of the protocol to the server, by its name.
    pub fn extension(mut self, name: impl Into<String>) -> Self {
        self.extensions.push(name.into());
        self
    }

    /// The server, and who is asked for its credentials.
    pub(crate) fn open(&mut self) -> Result<(HttpServer, SharedProvider), Error> {
        self.settings.checked()?;
        let headers = std::mem::take(&mut self.headers);
        let provider = provider(self.bearer.take(), headers, self.provider.take())?;
        let client = self.client.take().map_or_else(shared_client, Ok)?;
        let id = match self.settings.id.take() {
            Some(id) => id,
            None => default_id(&self.url)?,
        };
        let mut server = HttpServer::builder(&self.url)
            .id(id)
            .credentials(Arc::clone(&provider))
            .client(client)
            .transport(self.transport)
            .protocol(self.protocol)
            .limits(self.settings.limits());
        for name in &self.extensions {
            server = server.extension(name);
        }
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
    provider: Option<SharedProvider>,
) -> Result<SharedProvider, InvalidHeader> {
    let mut fixed = Credentials::builder();
    if let Some(token) = bearer {
        fixed = fixed.bearer(token)?;
    }
    for (name, value) in headers {
        fixed = fixed.header(&name, value)?;
    }
    let fixed = fixed.build()?;
    Ok(match provider {
        None if fixed.is_anonymous() => Arc::new(Anonymous::new()),
        None => Arc::new(Headers::from(fixed)),
        Some(provider) if fixed.is_anonymous() => provider,
        Some(provider) => Arc::new(Combined::new(provider, Headers::from(fixed))?),
    })
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
            .field("provider", &self.provider)
            .field("transport", &self.transport)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
