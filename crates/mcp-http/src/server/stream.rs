//! HTTP+SSE (2024-11-05, basic/transports): answers on one stream, requests beside it.

use std::borrow::Cow;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use mcp_core::auth::{Credentials, MaybeReady, Principal};
use mcp_core::duplex::{Channel, Duplex, InputHandler, Outgoing, Settings};
use mcp_core::{CallContext, Error, ErrorKind, Failure, ToolListing, Transport};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Inner;
use super::exchange::{Answered, Exchange};
use super::fault::Fault;
use super::headers;
use super::rpc::{Fields, Rpc};
use super::sent::Sent;
use super::shares::Lending;
use super::take::Take;
use crate::client::{HttpResponse, HttpUrl};
use crate::sse::SseDecoder;

/// Messages that nobody waits for (cancellations, answers to the server's requests) and that are
/// not sent yet. What does not fit is dropped.
const POSTS: usize = 64;

/// An open stream of one principal. Dropping it closes the stream and ends its tasks.
#[derive(Debug)]
pub(crate) struct Stream {
    duplex: Arc<Duplex>,
    /// The reader, and the writer of what nobody waits for.
    _tasks: JoinSet<()>,
}

impl Stream {
    /// Whether what failed like this is to be asked over another stream.
    fn is_lost(&self, error: &Error, is_repeatable: bool) -> bool {
        match error.kind() {
            ErrorKind::SessionLost => true,
            // What broke a bound would break it again.
            ErrorKind::Protocol | ErrorKind::Connect => {
                is_repeatable && self.duplex.closed().is_some()
            }
            _ => false,
        }
    }
}

impl Inner {
    /// Asks over the principal's stream. A request that met no session is asked once more over a
    /// new one: it has not run. So is one that may run twice, when the stream ended under it.
    pub(crate) async fn over_stream<T>(
        &self,
        rpc: &Rpc<'_>,
        context: &CallContext,
        take: &mut impl Take<T>,
    ) -> Result<T, Fault> {
        let nothing = serde_json::Map::new();
        let mut lost = None;
        loop {
            let stream = self.stream(context, lost.as_ref()).await?;
            let duplex = &stream.duplex;
            let _place = self.shares.place(context).await?;
            let asked = match rpc.fields {
                Fields::Call(call) => match duplex.call_tool(call, context).await {
                    Ok(output) => take.take(output.raw()),
                    Err(error) => Err(error),
                },
                Fields::Object(fields) => duplex
                    .request(rpc.method, fields, context)
                    .await
                    .and_then(|result| take.take(&result)),
                Fields::Page(_) => duplex
                    .request(rpc.method, &nothing, context)
                    .await
                    .and_then(|result| take.take(&result)),
            };
            match asked {
                Err(error) if lost.is_none() && stream.is_lost(&error, rpc.is_repeatable()) => {
                    lost = Some(stream);
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    pub(crate) async fn list_over_stream(
        &self,
        context: &CallContext,
    ) -> Result<ToolListing, Fault> {
        let mut lost = None;
        loop {
            let stream = self.stream(context, lost.as_ref()).await?;
            match stream.duplex.list_tools(context).await {
                Err(error) if lost.is_none() && stream.is_lost(&error, true) => {
                    lost = Some(stream);
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    /// The principal's stream; a new one if there is none, or none but the one that was lost.
    pub(crate) async fn stream(
        &self,
        context: &CallContext,
        lost: Option<&Arc<Stream>>,
    ) -> Result<Arc<Stream>, Fault> {
        let is_lost = |stream: &Arc<Stream>| lost.is_some_and(|lost| Arc::ptr_eq(lost, stream));
        self.streams
            .usable(
                &context.principal,
                |stream| stream.duplex.closed().is_none() && !is_lost(stream),
                || self.open_stream(context),
            )
            .await
    }

    async fn open_stream(&self, context: &CallContext) -> Result<Stream, Fault> {
        let exchange = Exchange {
            repeatable: true,
            ..Exchange::new(Method::GET, &self.url, context)
        };
        let opening = async {
            let answered = self
                .exchange(&exchange, |map| {
                    map.insert(header::ACCEPT, headers::EVENTS.clone());
                    Ok(())
                })
                .await
                .map_err(Fault::into_error)?;
            self.endpoint(answered).await
        };
        let limit = self.limits.connect_timeout;
        let opened = context
            .bound(limit, "waiting for the stream's endpoint", opening)
            .await?;
        let (posts, queue) = mpsc::channel(POSTS);
        let channel = SseChannel {
            server: Weak::clone(&self.this),
            endpoint: opened.endpoint.clone(),
            sent: Arc::new(ArcSwapOption::from_pointee(opened.sent)),
            posts,
        };
        let mut settings = Settings::new(self.limits.clone());
        // Every request is bounded before it comes here.
        settings.limits.call_timeout = Duration::MAX;
        settings.client = self.client_identity.clone();
        settings.protocol = self.protocol;
        settings.input = self.input.as_ref().map(|handler| {
            // Which call a question belongs to is not said on a stream.
            Arc::new(Lending {
                handler: Arc::clone(handler),
                shares: Arc::clone(&self.shares),
            }) as Arc<dyn InputHandler>
        });
        let duplex = Arc::new(Duplex::new(Box::new(channel), settings));
        let mut tasks = JoinSet::new();
        tasks.spawn(read(
            Arc::clone(&duplex),
            opened.response,
            opened.decoder,
            opened.rest,
        ));
        tasks.spawn(post_queued(
            Weak::clone(&self.this),
            opened.endpoint,
            context.principal.clone(),
            queue,
        ));
        tasks.spawn(answer_requests(
            Arc::clone(&duplex),
            context.principal.clone(),
            self.limits.call_timeout,
        ));
        tasks.spawn(tell_changes(Weak::clone(&self.this), duplex.tool_changes()));
        let stream = Stream {
            duplex,
            _tasks: tasks,
        };
        stream.duplex.negotiate(context).await?;
        Ok(stream)
    }

    /// The stream's first event: where to POST to.
    async fn endpoint(&self, answered: Answered) -> Result<Opened, Error> {
        let Answered { mut response, sent } = answered;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            let retry_after = super::retry_after::of(&response);
            let sent = Sent {
                credentials: &sent,
                session: None,
                url: &self.url,
            };
            let detail = self.detail(response, sent).await;
            return Err(Failure::HttpStatus {
                status,
                detail,
                retry_after,
            }
            .into());
        }
        if !response.is("text/event-stream") {
            return Err(Error::protocol("a GET opens no event stream"));
        }
        let mut decoder = SseDecoder::new(self.limits.message_bytes);
        while let Some(chunk) = response.chunk().await? {
            let mut rest: &[u8] = &chunk;
            while decoder.read(&mut rest)? {
                if decoder.kind() != b"endpoint" {
                    continue;
                }
                let named = std::str::from_utf8(decoder.data())
                    .map_err(|error| Error::protocol_because("the endpoint is no text", error))?;
                let endpoint = self
                    .url
                    .join(named)
                    .map_err(|error| Error::protocol_because("the endpoint is no URL", error))?;
                if !endpoint.same_origin(&self.url) {
                    return Err(endpoint.refused("the server names an endpoint at another origin"));
                }
                let rest = chunk.slice_ref(rest);
                return Ok(Opened {
                    endpoint,
                    response,
                    decoder,
                    rest,
                    sent,
                });
            }
        }
        Err(Error::protocol("the stream names no endpoint"))
    }
}

/// A stream that has named its endpoint.
struct Opened {
    endpoint: HttpUrl,
    response: HttpResponse,
    decoder: SseDecoder,
    /// What came in one piece with the endpoint.
    rest: Bytes,
    sent: Credentials,
}

/// Hands over what comes until the stream ends; whoever waits then hears of it.
async fn read(
    duplex: Arc<Duplex>,
    mut response: HttpResponse,
    mut decoder: SseDecoder,
    rest: Bytes,
) {
    let mut chunk = rest;
    let ended = loop {
        let mut rest: &[u8] = &chunk;
        let delivered = loop {
            match decoder.read(&mut rest) {
                Ok(false) => break Ok(()),
                Ok(true) => {
                    let is_message = decoder.kind().is_empty() || decoder.kind() == b"message";
                    if is_message
                        && !decoder.data().is_empty()
                        && let Err(error) = duplex.deliver(decoder.data())
                    {
                        break Err(error);
                    }
                }
                Err(error) => break Err(error),
            }
        };
        if let Err(error) = delivered {
            break error;
        }
        match response.chunk().await {
            Ok(Some(next)) => chunk = next,
            Ok(None) => break Error::protocol("the server ended the stream"),
            Err(error) => break error,
        }
    };
    tracing::debug!(error = %ended, "a stream ended");
    duplex.close(&ended);
}

/// Lets the handler answer what the server asks.
async fn answer_requests(duplex: Arc<Duplex>, principal: Principal, limit: Duration) {
    match duplex.answer_requests(&principal, limit).await {}
}

/// Hands on that the tools changed.
async fn tell_changes(server: Weak<Inner>, mut changes: watch::Receiver<u64>) {
    while changes.changed().await.is_ok() {
        let Some(server) = server.upgrade() else {
            return;
        };
        server.tools_changed();
    }
}

/// Sends what nobody waits for, each within its own deadline.
async fn post_queued(
    server: Weak<Inner>,
    endpoint: HttpUrl,
    principal: Principal,
    mut queue: mpsc::Receiver<Vec<u8>>,
) {
    while let Some(message) = queue.recv().await {
        let Some(server) = server.upgrade() else {
            return;
        };
        let limit = server.limits.close_timeout;
        let context = CallContext::new(principal.clone()).with_timeout(limit);
        let posted = async {
            let posted = server.post_to(&endpoint, message, None, &context, None);
            let posted = posted.await;
            posted.map(drop).map_err(Fault::into_error)
        };
        if let Err(error) = context.bound(limit, "telling the server", posted).await {
            tracing::debug!(%error, "a message did not arrive");
        }
    }
}

impl Inner {
    /// One message to the stream's endpoint. Whatever 2xx it is answered with, the answer that
    /// counts comes on the stream.
    async fn post_to(
        &self,
        endpoint: &HttpUrl,
        message: Vec<u8>,
        tool: Option<&str>,
        context: &CallContext,
        under_way: Option<&AtomicBool>,
    ) -> Result<Credentials, Fault> {
        let exchange = Exchange {
            body: Bytes::from(message),
            tool,
            under_way,
            ..Exchange::new(Method::POST, endpoint, context)
        };
        let answered = self
            .exchange(&exchange, |map| {
                map.insert(header::CONTENT_TYPE, headers::JSON.clone());
                map.insert(header::ACCEPT, headers::EITHER.clone());
                Ok(())
            })
            .await?;
        let Answered { response, sent } = answered;
        if response.status().is_success() {
            drop(response.beginning(1024).await);
            return Ok(sent);
        }
        let sent = Sent {
            credentials: &sent,
            session: None,
            url: endpoint,
        };
        Err(self.refused(0, response, sent).await)
    }
}

/// The way out of a stream: POSTs, each with the credentials of its moment.
#[derive(Debug)]
struct SseChannel {
    server: Weak<Inner>,
    endpoint: HttpUrl,
    /// What was sent last; the server may echo it.
    sent: Arc<ArcSwapOption<Credentials>>,
    posts: mpsc::Sender<Vec<u8>>,
}

impl Channel for SseChannel {
    fn transport(&self) -> Transport {
        Transport::Sse
    }

    fn send<'a>(
        &'a self,
        message: Vec<u8>,
        about: Outgoing<'a>,
    ) -> MaybeReady<'a, Result<(), Error>> {
        MaybeReady::new(async move {
            let Some(server) = self.server.upgrade() else {
                return Err(Error::config("the server's handle is gone"));
            };
            let posted = server
                .post_to(
                    &self.endpoint,
                    message,
                    about.tool,
                    about.context,
                    about.under_way(),
                )
                .await;
            match posted {
                Ok(sent) => {
                    self.sent.store(Some(Arc::new(sent)));
                    Ok(())
                }
                // The server does not know the stream any more (or never did, while the version is
                // still being found: then the status is the answer).
                Err(Fault::Status(StatusCode::NOT_FOUND, error)) => {
                    let is_probe = matches!(about.method, "server/discover" | "initialize");
                    Err(if is_probe {
                        error
                    } else {
                        Failure::SessionLost.into()
                    })
                }
                Err(fault) => Err(fault.into_error()),
            }
        })
    }

    fn post(&self, message: Vec<u8>) {
        if self.posts.try_send(message).is_err() {
            tracing::debug!("a message that nobody waits for was dropped");
        }
    }

    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &*self.sent.load() {
            Some(sent) => {
                let sent = Sent {
                    credentials: sent,
                    session: None,
                    url: &self.endpoint,
                };
                sent.redact(text)
            }
            None => Cow::Borrowed(text),
        }
    }
}
