//! The answer to a POST: one JSON message, or a stream of them until the one that counts.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use http::{Method, StatusCode, header};
use mcp_core::auth::Credentials;
use mcp_core::duplex::OpenRequest;
use mcp_core::wire::Message;
use mcp_core::{Error, Failure};
use serde_json::value::RawValue;

use super::Inner;
use super::exchange::{Answered, Exchange};
use super::fault::{Fault, Refusal};
use super::headers;
use super::questions::Questions;
use super::reading::Reading;
use super::retry_after;
use super::rpc::Rpc;
use super::sent::Sent;
use super::session::SessionKey;
use super::take::Take;
use crate::client::HttpResponse;
use crate::sse::SseDecoder;

/// How much of an error's body is looked at for a JSON-RPC error.
const ERROR_BODY_BYTES: usize = 64 << 10;

/// How long a server is left alone before a broken stream is resumed, where it does not say.
const RESUME_AFTER: Duration = Duration::from_millis(500);

/// How often one answer is resumed.
const MAX_RESUMES: usize = 32;

/// How long the end of a stream is waited for behind its answer, so that the connection can serve
/// again.
const DRAIN: Duration = Duration::from_millis(10);

/// After so many streams in a row that did not end in time, no other one is waited for.
const KEEPS_OPEN: usize = 3;

/// How often it is looked for before it is waited for. A runtime of many threads lets the woken one
/// go first, and the connection behind it.
const TURNS: u8 = 3;

/// What a result says.
#[derive(Debug)]
pub(crate) enum Reply<T> {
    /// All of it, as the reader of results made it.
    Done(T),
    /// The server needs input first; its result, for whoever answers that.
    NeedsInput(Box<RawValue>),
}

/// What one message of an answer leads to.
pub(super) enum Step<T> {
    /// The answer.
    Answer(Reply<T>),
    /// A request of the server's; what to POST back, when it is known at once.
    Respond(Vec<u8>),
    /// A request of the server's that a handler answers.
    Ask(OpenRequest),
    /// Nothing to do.
    Next,
}

impl Inner {
    /// Reads the answer to a request; `take` makes of the result what the caller wants.
    pub(crate) async fn answer<T>(
        &self,
        reading: Reading<'_>,
        answered: Answered,
        take: &mut impl Take<T>,
    ) -> Result<Reply<T>, Fault> {
        let Answered { response, sent } = answered;
        let status = response.status();
        if !status.is_success() {
            let refused = self.refused(reading.id, response, reading.sent(&sent));
            return Err(Box::pin(refused).await);
        }
        if response.is("application/json") {
            let body = response
                .bytes(self.limits.body_bytes)
                .await
                .map_err(|error| reading.unread(error))?;
            if body.is_empty() {
                return Err(no_answer(status).into());
            }
            return self.json(reading, &body, &sent, take).await;
        }
        if response.is("text/event-stream") {
            let answered = Answered { response, sent };
            // Streams are longer in coming than a box in making, and their reader is large.
            return Box::pin(self.events(reading, answered, take)).await;
        }
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Err(no_answer(status).into());
        }
        let sent = reading.sent(&sent);
        let given = match response.content_type() {
            Some(given) => format!("is `{}`", mcp_core::wire::clean(&sent.redact(given), 64)),
            None => "has no content type".to_owned(),
        };
        let detail = Box::pin(self.detail(response, sent)).await;
        Err(Error::protocol(format!(
            "the answer {given}, neither JSON nor an event stream{detail}"
        ))
        .into())
    }

    /// A status that is no success: a JSON-RPC error, whatever the status, or the status alone.
    pub(crate) async fn refused(&self, id: u64, response: HttpResponse, sent: Sent<'_>) -> Fault {
        let status = response.status();
        let retry_after = retry_after::of(&response);
        let body = response
            .beginning(ERROR_BODY_BYTES.min(self.limits.body_bytes))
            .await;
        if let Ok(Message::Response {
            id: theirs,
            outcome: Err(error),
        }) = Message::parse(&body)
        {
            let is_ours = theirs == Some(id);
            let snippet = self.limits.snippet_bytes;
            return Fault::Refused(Box::new(Refusal::new(
                error, is_ours, status, sent, snippet,
            )));
        }
        let detail = self.shown(&body, sent);
        let failure = Failure::HttpStatus {
            status: status.as_u16(),
            detail,
            retry_after,
        };
        Fault::Status(status, failure.into())
    }

    async fn json<T>(
        &self,
        reading: Reading<'_>,
        body: &[u8],
        sent: &Credentials,
        take: &mut impl Take<T>,
    ) -> Result<Reply<T>, Fault> {
        if let Some(done) = take.take_whole(body, reading.id) {
            return Ok(Reply::Done(done?));
        }
        for message in reading.messages(body)? {
            match self.step(reading, message, sent, take)? {
                Step::Answer(reply) => return Ok(reply),
                Step::Next => {}
                Step::Ask(request) => Box::pin(self.answer_question(reading, request)).await,
                step @ Step::Respond(_) => Box::pin(self.respond(reading, step)).await?,
            }
        }
        Err(Error::protocol("the answer belongs to another request").into())
    }

    async fn events<T>(
        &self,
        reading: Reading<'_>,
        mut answered: Answered,
        take: &mut impl Take<T>,
    ) -> Result<Reply<T>, Fault> {
        let mut decoder = SseDecoder::new(self.limits.message_bytes);
        let mut questions = Questions::default();
        let mut messages = 0;
        let mut resumes = 0;
        loop {
            let ended = loop {
                let chunk = match questions.beside(answered.response.chunk()).await {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) if decoder.is_amid_event() => {
                        let error = Error::protocol("the stream ended in the middle of an event");
                        break reading.cut_off(error);
                    }
                    Ok(None) => {
                        break reading
                            .cut_off(Error::protocol("the stream ended before the answer"));
                    }
                    Err(error) => break reading.unread(error),
                };
                let mut rest: &[u8] = &chunk;
                while let Some(event) = decoder.read(&mut rest)? {
                    messages += 1;
                    if messages > self.limits.messages_per_answer {
                        return Err(self.too_many_messages().into());
                    }
                    if !event.is_message() {
                        continue;
                    }
                    if let Some(done) = take.take_whole(event.data, reading.id) {
                        questions.finish().await;
                        self.drain(answered.response).await;
                        return Ok(Reply::Done(done?));
                    }
                    for message in reading.messages(event.data)? {
                        match self.step(reading, message, &answered.sent, take)? {
                            Step::Answer(reply) => {
                                questions.finish().await;
                                self.drain(answered.response).await;
                                return Ok(reply);
                            }
                            Step::Next => {}
                            Step::Ask(request) if !questions.are_too_many() => {
                                questions.answer(self.answer_question(reading, request));
                            }
                            step => {
                                let responding = Box::pin(self.respond(reading, step));
                                questions.beside(responding).await?;
                            }
                        }
                    }
                }
            };
            resumes += 1;
            let resumable = reading.session.zip(decoder.last_id());
            let Some((session, last_id)) = resumable.filter(|_| resumes <= MAX_RESUMES) else {
                return Err(ended.into());
            };
            let pause = decoder.retry().unwrap_or(RESUME_AFTER);
            questions.beside(tokio::time::sleep(pause)).await;
            let resuming = Box::pin(self.resume(reading, session, last_id));
            answered = match questions.beside(resuming).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::debug!(%error, "a stream cannot be resumed");
                    return Err(ended.into());
                }
            };
            decoder.restart();
        }
    }

    /// Takes a broken stream up again where it broke (2025-11-25, basic/transports).
    async fn resume(
        &self,
        reading: Reading<'_>,
        session: &SessionKey,
        last_id: &str,
    ) -> Result<Answered, Error> {
        let exchange = Exchange {
            repeatable: true,
            session: Some(session),
            ..Exchange::new(Method::GET, reading.url, reading.context)
        };
        let last_id = http::HeaderValue::from_str(last_id)
            .map_err(|error| Error::protocol_because("an event's id cannot be sent", error))?;
        let answered = self
            .exchange(&exchange, |map| {
                map.insert(header::ACCEPT, headers::EVENTS.clone());
                map.insert(headers::LAST_EVENT_ID.clone(), last_id.clone());
                Ok(())
            })
            .await
            .map_err(Fault::into_error)?;
        let response = &answered.response;
        if response.status().is_success() && response.is("text/event-stream") {
            return Ok(answered);
        }
        let failure = Failure::HttpStatus {
            status: response.status().as_u16(),
            detail: String::new(),
            retry_after: retry_after::of(response),
        };
        Err(failure.into())
    }

    /// Reads the end of a stream behind its answer.
    async fn drain(&self, mut response: HttpResponse) {
        use std::sync::atomic::Ordering::Relaxed;
        let kept_open = &self.streams_kept_open;
        let mut end = pin!(async { while let Ok(Some(_)) = response.chunk().await {} });
        // Most of the time the end is there and only its connection has to be let run: a timer would
        // wake the runtime's driver, which costs more than all the rest of a stream.
        if soon(end.as_mut()).await {
            return kept_open.store(0, Relaxed);
        }
        if kept_open.load(Relaxed) < KEEPS_OPEN {
            match tokio::time::timeout(DRAIN, end).await {
                Ok(()) => kept_open.store(0, Relaxed),
                Err(_) => drop(kept_open.fetch_add(1, Relaxed)),
            }
        }
    }

    pub(super) fn too_many_messages(&self) -> Error {
        Error::limit(
            "messages_per_answer",
            self.limits.messages_per_answer,
            "messages in one answer",
        )
    }

    fn step<T>(
        &self,
        reading: Reading<'_>,
        message: Result<Message<'_>, Error>,
        sent: &Credentials,
        take: &mut impl Take<T>,
    ) -> Result<Step<T>, Fault> {
        match message.map_err(|error| reading.unreadable(error))? {
            Message::Response {
                id: Some(id),
                outcome: Ok(result),
            } if id == reading.id => {
                if reading.session.is_none() && needs_input(reading.rpc, result)? {
                    return Ok(Step::Answer(Reply::NeedsInput(result.to_owned())));
                }
                Ok(Step::Answer(Reply::Done(take.take(result)?)))
            }
            // An error without an id comes from a server that could not read it.
            Message::Response {
                id,
                outcome: Err(error),
            } if id.is_none_or(|id| id == reading.id) => {
                let snippet = self.limits.snippet_bytes;
                let is_ours = id.is_some();
                let sent = reading.sent(sent);
                let refusal = Refusal::new(error, is_ours, StatusCode::OK, sent, snippet);
                Err(Fault::Refused(Box::new(refusal)))
            }
            Message::Response { .. } => {
                tracing::debug!("an answer to no request of ours");
                Ok(Step::Next)
            }
            Message::Notification { method, params } => {
                self.notified(reading, &method, params, reading.sent(sent));
                Ok(Step::Next)
            }
            Message::Request { id, method, params } => Ok(self.asked(reading, id, &method, params)),
            _ => Ok(Step::Next),
        }
    }
}

/// Whether the server wants input before it answers (2026-07-28, basic and basic/patterns/mrtr).
fn needs_input(rpc: &Rpc<'_>, result: &RawValue) -> Result<bool, Error> {
    let needed = mcp_core::duplex::needs_input(result)?;
    if needed && !rpc.may_need_input() {
        return Err(Error::protocol(
            "the server asks for input where it may not",
        ));
    }
    Ok(needed)
}

/// Whether something ends while others get a turn or two.
async fn soon(mut ending: Pin<&mut impl Future<Output = ()>>) -> bool {
    let mut turns = 0;
    poll_fn(|context| match ending.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending if turns == TURNS => Poll::Ready(false),
        Poll::Pending => {
            turns += 1;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

fn no_answer(status: StatusCode) -> Error {
    Error::protocol(format!(
        "the server took a request and gave no answer ({})",
        status.as_u16()
    ))
}
