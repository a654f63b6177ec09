//! The way out beside a stream: POSTs, each with the credentials of its moment.

use std::borrow::Cow;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, header};
use mcp_core::auth::{Credentials, MaybeReady};
use mcp_core::duplex::{Channel, Outgoing};
use mcp_core::{CallContext, Error, Failure, Transport};
use tokio::sync::mpsc;

use super::super::Inner;
use super::super::exchange::{Answered, Exchange};
use super::super::fault::Fault;
use super::super::headers;
use super::super::sent::Sent;
use crate::client::HttpUrl;

/// Messages that nobody waits for (cancellations, answers to the server's requests) and that are
/// not sent yet. What does not fit is dropped.
const POSTS: usize = 64;

#[derive(Debug)]
pub(super) struct SseChannel {
    server: Weak<Inner>,
    endpoint: HttpUrl,
    /// What was sent last; the server may echo it.
    sent: ArcSwap<Credentials>,
    posts: mpsc::Sender<Vec<u8>>,
}

impl SseChannel {
    /// The way to an endpoint, and the queue of what nobody waits for. `sent` went with the request
    /// for the stream.
    pub(super) fn new(
        server: Weak<Inner>,
        endpoint: HttpUrl,
        sent: Credentials,
    ) -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (posts, queue) = mpsc::channel(POSTS);
        let channel = Self {
            server,
            endpoint,
            sent: ArcSwap::from_pointee(sent),
            posts,
        };
        (channel, queue)
    }
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
            let is_probe = matches!(about.method, "server/discover" | "initialize");
            match posted {
                Ok(sent) => {
                    self.sent.store(Arc::new(sent));
                    Ok(())
                }
                // The server does not know the stream any more. While the version is still being
                // found, what it says is an answer.
                Err(fault) if fault.is_session_loss() && !is_probe => {
                    Err(Failure::SessionLost.into())
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
        let credentials = self.sent.load();
        let sent = Sent {
            credentials: &credentials,
            session: None,
            url: &self.endpoint,
        };
        sent.redact(text)
    }
}

impl Inner {
    /// One message to the stream's endpoint. Whatever 2xx it is answered with, the answer that
    /// counts comes on the stream.
    pub(super) async fn post_to(
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
