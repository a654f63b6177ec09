//! A server over HTTP, in whatever dialect it speaks.

mod answer;
mod batch;
mod builder;
mod close_all;
mod era;
mod exchange;
mod fault;
pub(crate) mod headers;
mod incoming;
mod listen;
mod listing;
mod questions;
mod reading;
mod retry_after;
mod rpc;
mod sending;
mod sent;
mod session;
mod shares;
mod slots;
mod stateless;
mod stream;
mod subscription;
mod take;
mod telemetry;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use mcp_core::auth::{ServerId, SharedProvider};
use mcp_core::duplex::{Discovery, InputHandler};
use mcp_core::wire::ClientIdentity;
use mcp_core::{
    BoxFuture, CallContext, Error, Limits, ProtocolVersion, ServerOffers, ToolCall, ToolListing,
    ToolOutput, ToolServer, Transport,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

pub use self::builder::{HttpServerBuilder, TransportChoice};

pub(crate) use self::era::Finders;
use self::era::{Era, Finder};
#[cfg(feature = "rmcp")]
pub(crate) use self::exchange::{Answered, Exchange};
pub(crate) use self::fault::Fault;
use self::rpc::Rpc;
#[cfg(feature = "rmcp")]
pub(crate) use self::sent::Sent;
use self::session::Session;
#[cfg(feature = "rmcp")]
pub(crate) use self::session::SessionKey;
use self::shares::Shares;
use self::slots::Slots;
use self::stream::Stream;
use self::subscription::Subscription;
use self::take::Take;
use crate::client::{HttpClient, HttpUrl};

/// How many farewells (cancellations, ended sessions) may be under way at once; each is bounded
/// by `Limits::close_timeout`, and past the number they are left unsaid.
const FAREWELLS: usize = 64;

/// An MCP server over HTTP. Cloning copies a pointer.
///
/// One value serves all principals: each request carries the credentials of the principal of its
/// [`CallContext`]. A call is one POST on the shared pool, made in the caller's own task; only where
/// a server speaks an older protocol is there a session, and each principal has its own.
///
/// ```
/// use std::sync::Arc;
/// use mcp_core::auth::Bearer;
/// use mcp_http::HttpServer;
///
/// let server = HttpServer::builder("https://mcp.example.com/mcp")
///     .credentials(Arc::new(Bearer::new("test-token-alice")?))
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HttpServer(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) id: ServerId,
    pub(crate) url: HttpUrl,
    pub(crate) provider: SharedProvider,
    pub(crate) client: HttpClient,
    pub(crate) choice: TransportChoice,
    pub(crate) protocol: Option<ProtocolVersion>,
    pub(crate) client_identity: ClientIdentity,
    pub(crate) input: Option<Arc<dyn InputHandler>>,
    /// What the client says that it can do.
    pub(crate) capabilities: Value,
    pub(crate) extensions: Map<String, Value>,
    /// `_meta` of most requests of the newest version, written once.
    pub(crate) written_meta: Option<Box<RawValue>>,
    /// Whether sessions keep a stream open for what the server says unasked.
    pub(crate) listens: bool,
    /// Whether changed tools are asked for even where nobody has called `tool_changes` yet.
    pub(crate) subscribes: bool,
    pub(crate) tool_changes: watch::Sender<u64>,
    pub(crate) limits: Limits,
    pub(crate) finder: Arc<Finder>,
    pub(crate) sessions: Slots<Session>,
    pub(crate) streams: Slots<Stream>,
    pub(crate) subscriptions: Slots<Subscription>,
    pub(crate) shares: Arc<Shares>,
    /// What a server said of itself to everybody.
    pub(crate) shared_discovery: arc_swap::ArcSwapOption<Discovery>,
    /// How many streams in a row the server has kept open behind their answers.
    pub(crate) streams_kept_open: AtomicUsize,
    next_id: AtomicU64,
    farewells: TaskTracker,
    farewell_permits: Arc<Semaphore>,
    pub(crate) this: Weak<Inner>,
}

impl HttpServer {
    /// Sets up a server at a URL.
    pub fn builder(url: impl AsRef<str>) -> HttpServerBuilder {
        HttpServerBuilder::new(url.as_ref())
    }

    /// Where it is. Printed without its query.
    pub fn url(&self) -> &HttpUrl {
        &self.0.url
    }

    /// The client that it is reached with.
    pub fn client(&self) -> &HttpClient {
        &self.0.client
    }

    /// Counts how often the server said that somebody's tools changed. A storm of notices is one
    /// change for whoever looks later. Heard on the streams of HTTP+SSE, on the answers to requests
    /// and, where [`HttpServerBuilder::listen`] is set, at any time within a session.
    ///
    /// Servers of 2026-07-28 tell only who asks. They are asked when a principal lists its tools
    /// while there is a receiver of this (or [`HttpServerBuilder::listen`] is set), by one stream
    /// for each such principal, at most [`Limits::subscriptions`]. A stream that breaks is opened
    /// again, after a pause of up to a minute with jitter, and counts as a change then, because one
    /// may have been missed. It ends with [`close`](ToolServer::close), with the last handle of the
    /// server, or when the server refuses.
    pub fn tool_changes(&self) -> watch::Receiver<u64> {
        self.0.tool_changes.subscribe()
    }

    #[cfg(feature = "rmcp")]
    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    /// Asks for anything that the server offers. `_meta` of `params` is kept and completed. For
    /// resources, prompts and completion there are typed methods in [`ServerOffers`].
    ///
    /// Bounded by the context's deadline, or `Limits::call_timeout` where there is none, after the
    /// server's dialect is known. Dropping the future cancels the request.
    ///
    /// # Errors
    /// As [`ToolServer::call_tool`].
    pub async fn request(
        &self,
        method: &str,
        params: &Map<String, Value>,
        context: &CallContext,
    ) -> Result<Box<RawValue>, Error> {
        let inner = &*self.0;
        let rpc = Rpc::object(method, params);
        let asked = async {
            let mut take = |result: &RawValue| Ok(result.to_owned());
            inner.finish(&rpc, inner.ask(&rpc, context, &mut take).await)
        };
        asked.instrument(inner.span(&rpc)).await
    }
}

impl ToolServer for HttpServer {
    fn id(&self) -> &ServerId {
        &self.0.id
    }

    fn transport(&self) -> Transport {
        match self.0.finder.known() {
            Some(Era::Sse) => Transport::Sse,
            None if self.0.choice == TransportChoice::Sse => Transport::Sse,
            _ => Transport::StreamableHttp,
        }
    }

    fn endpoint(&self) -> Option<&str> {
        Some(self.0.url.as_str())
    }

    fn list_tools<'a>(
        &'a self,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolListing, Error>> {
        let inner = &*self.0;
        let rpc = Rpc::page("tools/list", None);
        let span = inner.span(&rpc);
        let listed = async move { inner.finish(&rpc, inner.list(context).await) };
        Box::pin(listed.instrument(span))
    }

    fn call_tool<'a>(
        &'a self,
        call: ToolCall<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        let inner = &*self.0;
        let rpc = Rpc::call(call);
        let span = inner.span(&rpc);
        let called = async move {
            let called = inner.ask(&rpc, context, &mut take::Output).await;
            if let Ok(output) = &called {
                telemetry::record_output(output);
            }
            inner.finish(&rpc, called)
        };
        Box::pin(called.instrument(span))
    }

    fn close<'a>(&'a self, context: &'a CallContext) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            drop(self.0.streams.remove(&context.principal));
            drop(self.0.subscriptions.remove(&context.principal));
            self.0.end_session(context).await;
            self.0.farewells_said(context).await;
        })
    }
}

impl ServerOffers for HttpServer {
    fn ask<'a>(
        &'a self,
        method: &'a str,
        params: &'a Map<String, Value>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(self.request(method, params, context))
    }

    fn limits(&self) -> &Limits {
        &self.0.limits
    }
}

impl Inner {
    /// Asks in the server's dialect. A request that met another one than was remembered has not
    /// run: the dialect is found anew and, where it is another, the request sent once more.
    async fn ask<T>(
        &self,
        rpc: &Rpc<'_>,
        context: &CallContext,
        take: &mut impl Take<T>,
    ) -> Result<T, Error> {
        let mut again = true;
        loop {
            let (era, _) = self.era(context).await?;
            match self.ask_in(era, rpc, context, take).await {
                Ok(done) => return Ok(done),
                Err(fault) if again && fault.is_other_era() => {
                    again = false;
                    self.finder.doubt(era);
                    // Some servers say 400 when a tool fails: then it has run.
                    let nothing_ran = rpc.is_repeatable() || fault.is_unknown_version();
                    if !nothing_ran && self.era(context).await?.0 == era {
                        return Err(fault.into_error());
                    }
                }
                Err(fault) => return Err(fault.into_error()),
            }
        }
    }

    async fn ask_in<T>(
        &self,
        era: Era,
        rpc: &Rpc<'_>,
        context: &CallContext,
        take: &mut impl Take<T>,
    ) -> Result<T, Fault> {
        // Pinned here: a future that is handed on by value is in memory once for each hand.
        let asked = std::pin::pin!(async {
            match era {
                Era::Stateless(version) => self.stateless(version, rpc, context, take).await,
                Era::Session => Box::pin(self.in_session(rpc, context, take)).await,
                Era::Sse => Box::pin(self.over_stream(rpc, context, take)).await,
            }
        });
        self.bounded(context, "waiting for the answer", asked).await
    }

    /// How long a call may take: what the caller says, `Limits::call_timeout` where it says
    /// nothing.
    pub(crate) fn call_limit(&self, context: &CallContext) -> Duration {
        match context.deadline {
            Some(_) => Duration::MAX,
            None => self.limits.call_timeout,
        }
    }

    /// Runs a future under the deadline of a call.
    async fn bounded<T>(
        &self,
        context: &CallContext,
        during: &'static str,
        future: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        // The deadline's own error and the fault of the request come out on different ways.
        let mut fault = None;
        let outcome = {
            let running = std::pin::pin!(async {
                match future.await {
                    Ok(done) => Ok(Some(done)),
                    Err(other) => {
                        fault = Some(other);
                        Ok(None)
                    }
                }
            });
            let limit = self.call_limit(context);
            context.bound(limit, during, running).await?
        };
        match (outcome, fault) {
            (Some(done), _) => Ok(done),
            (None, Some(fault)) => Err(fault),
            (None, None) => Err(Error::protocol("the request came to nothing").into()),
        }
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Says something to the server that nobody waits for, in a task that ends by itself.
    pub(crate) fn farewell<F>(&self, say: impl FnOnce(Arc<Self>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let permits = Arc::clone(&self.farewell_permits);
        let (Ok(permit), Some(this)) = (permits.try_acquire_owned(), self.this.upgrade()) else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let said = say(this);
        let task = async move {
            said.await;
            drop(permit);
        };
        self.farewells.spawn_on(task, &runtime);
    }

    /// Waits until what was to be said to the server has been said, `Limits::close_timeout` at most.
    async fn farewells_said(&self, context: &CallContext) {
        let said = async {
            self.farewells.wait().await;
            Ok(())
        };
        let limit = self.limits.close_timeout;
        let _ = context.bound(limit, "saying goodbye", said).await;
    }

    /// The outcome as the caller gets it: placed, and told to whoever traces.
    fn finish<T>(&self, rpc: &Rpc<'_>, outcome: Result<T, Error>) -> Result<T, Error> {
        outcome.map_err(|error| {
            let error = error.at_server(&self.id);
            let error = match rpc.tool() {
                Some(tool) => error.for_tool(tool),
                None => error,
            };
            telemetry::record_error(&error);
            error
        })
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("id", &self.0.id)
            .field("url", &self.0.url)
            .field("era", &self.0.finder.known())
            .finish_non_exhaustive()
    }
}
