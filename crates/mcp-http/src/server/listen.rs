//! What a server says unasked: the stream that a GET opens in a session.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{HeaderValue, Method, header};
use mcp_core::auth::Principal;
use mcp_core::wire::Message;
use mcp_core::{CallContext, Error};
use tokio::sync::oneshot;

use super::Inner;
use super::answer::Step;
use super::exchange::{Answered, Exchange};
use super::fault::Fault;
use super::headers;
use super::sent::Sent;
use super::session::SessionKey;
use crate::sse::SseDecoder;

/// The pause before a stream is opened again; it doubles while nothing comes.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Listens as long as the session lives; its task is the session's. A server that offers no such
/// stream (405) is left alone. Events are bounded by `limit` bytes. `opened` hears of the first
/// opening, whatever comes of it.
pub(super) async fn listen(
    server: Weak<Inner>,
    session: Arc<SessionKey>,
    principal: Principal,
    limit: usize,
    opened: oneshot::Sender<()>,
) {
    let mut first = Some(opened);
    let context = CallContext::new(principal);
    let mut pause = FIRST_PAUSE;
    let mut decoder = SseDecoder::new(limit);
    loop {
        let opened = match server.upgrade() {
            Some(server) => {
                let last_id = decoder.last_id();
                server.open_listener(&session, last_id, &context).await
            }
            None => return,
        };
        if let Some(first) = first.take() {
            // Nobody waits any more if it took too long.
            let _ = first.send(());
        }
        let mut answered = match opened {
            Ok(Some(answered)) => answered,
            // Not offered, or the session is gone: a request will notice.
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "a listening stream cannot be opened");
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                continue;
            }
        };
        decoder.restart();
        'stream: while let Ok(Some(chunk)) = answered.response.chunk().await {
            let Some(server) = server.upgrade() else {
                return;
            };
            let mut rest: &[u8] = &chunk;
            loop {
                match decoder.read(&mut rest) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::debug!(%error, "a listening stream is given up");
                        break 'stream;
                    }
                }
                pause = FIRST_PAUSE;
                server
                    .heard(decoder.data(), &session, &answered, &context)
                    .await;
            }
        }
        tokio::time::sleep(decoder.retry().unwrap_or(pause).max(FIRST_PAUSE)).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

impl Inner {
    async fn open_listener(
        &self,
        session: &SessionKey,
        last_id: Option<&str>,
        context: &CallContext,
    ) -> Result<Option<Answered>, Error> {
        let exchange = Exchange {
            repeatable: true,
            session: Some(session),
            ..Exchange::new(Method::GET, &self.url, context)
        };
        let last_id = last_id.and_then(|id| HeaderValue::from_str(id).ok());
        let opening = self.exchange(&exchange, |map| {
            map.insert(header::ACCEPT, headers::EVENTS.clone());
            if let Some(last_id) = &last_id {
                map.insert(headers::LAST_EVENT_ID.clone(), last_id.clone());
            }
            Ok(())
        });
        let opening = async { opening.await.map_err(Fault::into_error) };
        let limit = self.limits.startup_timeout;
        let answered = context
            .bound(limit, "opening a listening stream", opening)
            .await?;
        let offered =
            answered.response.status().is_success() && answered.response.is("text/event-stream");
        Ok(offered.then_some(answered))
    }

    /// One message that came unasked.
    async fn heard(
        &self,
        data: &[u8],
        session: &SessionKey,
        answered: &Answered,
        context: &CallContext,
    ) {
        let step: Step<()> = match Message::parse(data) {
            Ok(Message::Request { id, method, params }) => {
                self.asked_in_session(id, &method, params)
            }
            Ok(Message::Notification { method, params }) => {
                match &*method {
                    "notifications/tools/list_changed" => self.tools_changed(),
                    "notifications/message" => {
                        let sent = Sent {
                            credentials: &answered.sent,
                            session: Some(session),
                            url: &self.url,
                        };
                        self.logged(params, sent);
                    }
                    _ => {}
                }
                return;
            }
            _ => return,
        };
        let responding = async {
            let responded = self.respond_in(session, step, context).await;
            responded.map_err(Fault::into_error)
        };
        let limit = self.limits.call_timeout;
        if let Err(error) = context
            .bound(limit, "answering the server", responding)
            .await
        {
            tracing::debug!(%error, "a request of the server's was not answered");
        }
    }
}
