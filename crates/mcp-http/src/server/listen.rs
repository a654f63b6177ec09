//! What a server says unasked: the stream that a GET opens in a session.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use mcp_core::auth::Principal;
use mcp_core::duplex::OpenRequest;
use mcp_core::wire::Message;
use mcp_core::{CallContext, Error, Failure};
use tokio::sync::oneshot;

use super::Inner;
use super::answer::Step;
use super::batch::Messages;
use super::exchange::{Answered, Exchange};
use super::fault::Fault;
use super::headers;
use super::questions::Questions;
use super::retry_after;
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
    let mut questions = Questions::default();
    let context = CallContext::new(principal);
    let mut pause = FIRST_PAUSE;
    let mut decoder = SseDecoder::new(limit);
    loop {
        let opened = match server.upgrade() {
            Some(server) => {
                let last_id = decoder.last_id();
                let opening = Box::pin(server.open_listener(&session, last_id, &context));
                questions.beside(opening).await
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
                questions.beside(tokio::time::sleep(pause)).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                continue;
            }
        };
        decoder.restart();
        'stream: while let Ok(Some(chunk)) = questions.beside(answered.response.chunk()).await {
            let Some(server) = server.upgrade() else {
                return;
            };
            let mut rest: &[u8] = &chunk;
            loop {
                let event = match decoder.read(&mut rest) {
                    Ok(Some(event)) => event,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(%error, "a listening stream is given up");
                        break 'stream;
                    }
                };
                pause = FIRST_PAUSE;
                if !event.is_message() {
                    continue;
                }
                // A text that cannot be read is nobody's answer here.
                for message in Messages::of(event.data).into_iter().flatten().flatten() {
                    let step = server.heard(message, &session, &answered);
                    match step {
                        Step::Ask(request) if !questions.are_too_many() => {
                            let (server, session) = (Arc::clone(&server), Arc::clone(&session));
                            let principal = context.principal.clone();
                            questions.answer(async move {
                                server.answer_unasked(&session, request, principal).await;
                            });
                        }
                        step => {
                            let responding = server.respond_unasked(&session, step, &context);
                            let responding = Box::pin(responding);
                            questions.beside(responding).await;
                        }
                    }
                }
            }
        }
        let pause_now = decoder.retry().unwrap_or(pause).max(FIRST_PAUSE);
        questions.beside(tokio::time::sleep(pause_now)).await;
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
        let status = answered.response.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            // For now: that says nothing of what is offered.
            return Err(Failure::HttpStatus {
                status: status.as_u16(),
                detail: String::new(),
                retry_after: retry_after::of(&answered.response),
            }
            .into());
        }
        let offered = status.is_success() && answered.response.is("text/event-stream");
        Ok(offered.then_some(answered))
    }

    /// What one message that came unasked leads to.
    fn heard(&self, message: Message<'_>, session: &SessionKey, answered: &Answered) -> Step<()> {
        match message {
            Message::Request { id, method, params } => {
                return self.asked_in_session(id, &method, params);
            }
            Message::Notification { method, params } => match &*method {
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
            },
            _ => {}
        }
        Step::Next
    }

    /// Lets the handler answer what was asked outside of all calls, within the time of one.
    async fn answer_unasked(
        &self,
        session: &SessionKey,
        request: OpenRequest,
        principal: Principal,
    ) {
        let context = CallContext::new(principal);
        let answering = async {
            self.answer_question_in(session, request, &context).await;
            Ok(())
        };
        let limit = self.limits.call_timeout;
        let answered = context.bound(limit, "answering the server", answering);
        if let Err(error) = answered.await {
            tracing::debug!(%error, "a request of the server's was not answered");
        }
    }

    /// Answers at once what needs nobody.
    async fn respond_unasked(&self, session: &SessionKey, step: Step<()>, context: &CallContext) {
        let responding = async {
            let responded = self.respond_in(session, step, context).await;
            responded.map_err(Fault::into_error)
        };
        let limit = self.limits.call_timeout;
        let responded = context.bound(limit, "answering the server", responding);
        if let Err(error) = responded.await {
            tracing::debug!(%error, "a request of the server's was not answered");
        }
    }
}
