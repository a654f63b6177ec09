//! Opening a stream: its endpoint, then the version that is spoken over it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, header};
use mcp_core::auth::Credentials;
use mcp_core::duplex::{Duplex, InputHandler, Settings};
use mcp_core::{CallContext, Error, Failure};
use tokio::task::JoinSet;

use super::super::Inner;
use super::super::exchange::{Answered, Exchange};
use super::super::fault::Fault;
use super::super::sent::Sent;
use super::super::shares::Lending;
use super::super::{headers, retry_after};
use super::channel::SseChannel;
use super::{Stream, beside};
use crate::client::{HttpResponse, HttpUrl};
use crate::sse::SseDecoder;

/// A stream that has named its endpoint.
pub(super) struct Opened {
    pub(super) endpoint: HttpUrl,
    pub(super) response: HttpResponse,
    pub(super) decoder: SseDecoder,
    /// What came in one piece with the endpoint.
    pub(super) rest: Bytes,
    sent: Credentials,
}

impl Inner {
    /// Opens the principal's stream. One that is lost before its version is found is opened anew,
    /// once: nothing that was said so far did anything.
    pub(super) async fn open_stream(&self, context: &CallContext) -> Result<Stream, Fault> {
        let stream = self.connected(context).await?;
        match stream.duplex.negotiate(context).await {
            Ok(_) => Ok(stream),
            Err(error) if stream.is_lost(&error, true) => {
                drop(stream);
                let stream = self.connected(context).await?;
                stream.duplex.negotiate(context).await?;
                Ok(stream)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A stream whose version is not found yet.
    async fn connected(&self, context: &CallContext) -> Result<Stream, Fault> {
        let limit = self.limits.connect_timeout;
        let exchange = Exchange {
            repeatable: true,
            silence: Some(limit),
            ..Exchange::new(Method::GET, &self.url, context)
        };
        let answered = self
            .exchange(&exchange, |map| {
                map.insert(header::ACCEPT, headers::EVENTS.clone());
                Ok(())
            })
            .await?;
        let opened = self.endpoint(answered);
        let during = "waiting for the stream's endpoint";
        let opened = context.bound(limit, during, opened).await?;
        let this = || Weak::clone(&self.this);
        let (channel, queue) =
            SseChannel::new(this(), opened.endpoint.clone(), opened.sent.clone());
        let duplex = Arc::new(Duplex::new(Box::new(channel), self.stream_settings()));
        let principal = || context.principal.clone();
        let (endpoint, limit) = (opened.endpoint.clone(), self.limits.call_timeout);
        let mut tasks = JoinSet::new();
        tasks.spawn(beside::read(Arc::clone(&duplex), opened));
        tasks.spawn(beside::post_queued(this(), endpoint, principal(), queue));
        tasks.spawn(beside::answer_requests(
            Arc::clone(&duplex),
            principal(),
            limit,
        ));
        tasks.spawn(beside::tell_changes(this(), duplex.tool_changes()));
        Ok(Stream {
            duplex,
            _tasks: tasks,
        })
    }

    fn stream_settings(&self) -> Settings {
        let mut settings = Settings::new(self.limits.clone());
        // Every request is bounded before it comes here.
        settings.limits.call_timeout = Duration::MAX;
        settings.client = self.client_identity.clone();
        settings.protocol = self.protocol;
        settings.extensions.clone_from(&self.extensions);
        settings.input = self.input.as_ref().map(|handler| {
            // Which call a question belongs to is not said on a stream.
            Arc::new(Lending {
                handler: Arc::clone(handler),
                shares: Arc::clone(&self.shares),
            }) as Arc<dyn InputHandler>
        });
        settings
    }

    /// The stream's first event: where to POST to.
    async fn endpoint(&self, answered: Answered) -> Result<Opened, Error> {
        let Answered { mut response, sent } = answered;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            let retry_after = retry_after::of(&response);
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
            while let Some(event) = decoder.read(&mut rest)? {
                if event.kind != b"endpoint" {
                    continue;
                }
                let named = std::str::from_utf8(event.data)
                    .map_err(|error| Error::protocol_because("the endpoint is no text", error))?;
                let endpoint = self
                    .url
                    .join(named)
                    .map_err(|error| Error::protocol_because("the endpoint is no URL", error))?;
                if !endpoint.same_origin(&self.url) {
                    let sent = Sent {
                        credentials: &sent,
                        session: None,
                        url: &self.url,
                    };
                    return Err(Failure::AddressRefused {
                        peer: sent.redact(endpoint.peer()).into_owned(),
                        reason: "the server names an endpoint at another origin",
                    }
                    .into());
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
