//! Setting up a server.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Weak};

use mcp_core::auth::{Anonymous, Contained, ServerId, SharedProvider};
use mcp_core::duplex::{InputHandler, declared};
use mcp_core::wire::{ClientIdentity, RequestMeta};
use mcp_core::{Error, Limits, ProtocolVersion};
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use super::shares::Shares;
use super::slots::Slots;
use super::{FAREWELLS, HttpServer, Inner};
use crate::client::{HttpClient, HttpUrl};

/// Which transport a URL is spoken with.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TransportChoice {
    /// Streamable HTTP; HTTP+SSE when the first POSTs got 400, 404 or 405 without a JSON-RPC
    /// answer. A path that ends in `/sse` is tried as HTTP+SSE first.
    #[default]
    Auto,
    /// Streamable HTTP only.
    Http,
    /// HTTP+SSE (2024-11-05) only.
    Sse,
}

/// Sets up an [`HttpServer`].
pub struct HttpServerBuilder {
    url: Result<HttpUrl, Error>,
    id: Option<ServerId>,
    provider: SharedProvider,
    client: Option<HttpClient>,
    choice: TransportChoice,
    protocol: Option<ProtocolVersion>,
    client_identity: ClientIdentity,
    input: Option<Arc<dyn InputHandler>>,
    extensions: Map<String, Value>,
    listen: bool,
    limits: Limits,
}

impl HttpServerBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: HttpUrl::parse(url),
            id: None,
            provider: Arc::new(Anonymous::new()),
            client: None,
            choice: TransportChoice::Auto,
            protocol: None,
            client_identity: ClientIdentity::default(),
            input: None,
            extensions: Map::new(),
            listen: false,
            limits: Limits::default(),
        }
    }

    /// The server's name here. Default: host and port of its URL.
    pub fn id(mut self, id: ServerId) -> Self {
        self.id = Some(id);
        self
    }

    /// Where credentials come from, asked at every request. Default: none are sent. A provider that
    /// panics fails the request that it was asked for ([`Contained`]).
    pub fn credentials(mut self, provider: SharedProvider) -> Self {
        self.provider = provider;
        self
    }

    /// The client to go through; servers that share one share its pool. Default: one of its own,
    /// with the same limits.
    pub fn client(mut self, client: HttpClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Which transport to speak. Default: find out.
    pub fn transport(mut self, choice: TransportChoice) -> Self {
        self.choice = choice;
        self
    }

    /// The one protocol version to speak. Default: the newest that both sides know.
    pub fn protocol(mut self, version: Option<ProtocolVersion>) -> Self {
        self.protocol = version;
        self
    }

    /// Who the client says it is.
    pub fn client_identity(mut self, identity: ClientIdentity) -> Self {
        self.client_identity = identity;
        self
    }

    /// Answers what a server asks back in the middle of a call. Default: nothing is offered.
    pub fn input(mut self, handler: Arc<dyn InputHandler>) -> Self {
        self.input = Some(handler);
        self
    }

    /// Keeps a stream open in each session for what the server says unasked (2025-11-25,
    /// basic/transports): that its tools changed, above all. Default: only where there is an
    /// [`input`](Self::input) handler, because many servers ask their questions there.
    ///
    /// A server of 2026-07-28 is asked to tell of changed tools from the first listing on. Default:
    /// only while somebody has [`HttpServer::tool_changes`].
    pub fn listen(mut self, listen: bool) -> Self {
        self.listen = listen;
        self
    }

    /// Declares an extension of the protocol, such as
    /// `io.modelcontextprotocol/oauth-client-credentials`, without settings.
    pub fn extension(mut self, name: &str) -> Self {
        let settings = Value::Object(Map::new());
        self.extensions.insert(name.to_owned(), settings);
        self
    }

    /// The bounds to keep.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The server. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure) for a URL that cannot be requested,
    /// [`Failure::AddressRefused`](mcp_core::Failure) for plain HTTP to another machine.
    pub fn build(self) -> Result<HttpServer, Error> {
        let url = self.url?;
        let limits = self.limits;
        let client = self
            .client
            .unwrap_or_else(|| HttpClient::builder().limits(limits.clone()).build());
        client.check(&url)?;
        let id = match self.id {
            Some(id) => id,
            None => ServerId::new(url.peer())?,
        };
        let capabilities = declared(self.input.as_deref(), &self.extensions);
        // What a server speaks is found once for all who reach it through the same client.
        let finder = client.finders().finder(&url, self.choice, self.protocol);
        let newest = ProtocolVersion::LATEST;
        let meta = RequestMeta::new(newest, &self.client_identity, &capabilities, None);
        let written_meta = serde_json::value::to_raw_value(&meta).ok();
        // Closed, so that it can be waited for; it takes tasks all the same.
        let farewells = TaskTracker::new();
        farewells.close();
        Ok(HttpServer(Arc::new_cyclic(|this| Inner {
            id,
            finder,
            url,
            provider: Arc::new(Contained::new(self.provider)),
            client,
            choice: self.choice,
            protocol: self.protocol,
            client_identity: self.client_identity,
            listens: self.listen || self.input.is_some(),
            subscribes: self.listen,
            input: self.input,
            tool_changes: watch::Sender::new(0),
            capabilities,
            extensions: self.extensions,
            written_meta,
            sessions: Slots::new(limits.sessions),
            streams: Slots::new(limits.sessions),
            subscriptions: Slots::lasting(limits.subscriptions),
            shares: Arc::new(Shares::new(&limits)),
            limits,
            shared_discovery: arc_swap::ArcSwapOption::empty(),
            streams_kept_open: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            farewells,
            farewell_permits: Arc::new(Semaphore::new(FAREWELLS)),
            this: Weak::clone(this),
        })))
    }
}

impl fmt::Debug for HttpServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServerBuilder")
            .field("url", &self.url)
            .field("id", &self.id)
            .field("choice", &self.choice)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
