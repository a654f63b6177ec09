//! The way in: what the transport's reader hands over.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::correlator::{Answer, Refusal};
use super::{Asked, Duplex};
use crate::Error;
use crate::wire::{Message, Progress};

impl Duplex {
    /// Takes one message, or a batch of them (2025-03-26, basic). For the transport's reader; never
    /// waits.
    ///
    /// An answer goes to the request it belongs to or, when there is none, nowhere. The server's
    /// requests are answered through [`Channel::post`](super::Channel::post); those that the handler
    /// answers are left to [`answer_requests`](Self::answer_requests).
    ///
    /// # Errors
    /// [`Failure::Protocol`](crate::Failure) when it is no message. If it still says to which
    /// request it belongs, that request has ended with an error; otherwise somebody may wait for
    /// it. A transport on which anything else may appear (a child's output) keeps it for diagnostics
    /// and goes on, any other calls [`close`](Self::close).
    pub fn deliver(&self, message: &[u8]) -> Result<(), Error> {
        let message = message.trim_ascii();
        if message.first() != Some(&b'[') {
            return self.deliver_one(message);
        }
        let batch: Vec<&RawValue> = serde_json::from_slice(message)
            .map_err(|error| Error::protocol_because("a batch is malformed", error))?;
        // The good ones among them still reach those who wait.
        batch
            .iter()
            .map(|message| self.deliver_one(message.get().as_bytes()))
            .fold(Ok(()), Result::and)
    }

    fn deliver_one(&self, bytes: &[u8]) -> Result<(), Error> {
        let message = Message::parse(bytes).inspect_err(|error| {
            if let Some(id) = id_of_malformed(bytes) {
                self.correlator.complete(id, Answer::Lost(error.clone()));
            }
        })?;
        match message {
            Message::Response {
                id: Some(id),
                outcome,
            } => {
                let answer = match outcome {
                    Ok(result) => Answer::Result(result.to_owned()),
                    Err(error) => Answer::Refused(Refusal::new(error)),
                };
                if !self.correlator.complete(id, answer) {
                    tracing::debug!(id, "an answer that nobody waits for");
                }
            }
            Message::Response { id: None, .. } => {
                tracing::debug!("an answer to no request of ours");
            }
            Message::Request { id, method, params } => self.answer(id, &method, params),
            Message::Notification { method, params } => self.notified(&method, params),
        }
        Ok(())
    }

    /// Answers a request of the server's, at once or through the handler.
    fn answer(&self, id: &RawValue, method: &str, params: Option<&RawValue>) {
        // A stateless server must not ask, and a client must not answer (2026-07-28,
        // basic/patterns).
        let stateless = self.negotiated.get();
        if stateless.is_some_and(|found| found.version.is_stateless()) {
            return tracing::debug!("a request that must not be answered");
        }
        let message = match self.offer().asked(id, method, params) {
            Asked::Answered(message) => Some(message),
            Asked::Open(request) => self.requests.push(request),
            Asked::Unanswerable => None,
        };
        if let Some(message) = message {
            self.channel.post(message);
        }
    }

    fn notified(&self, method: &str, params: Option<&RawValue>) {
        match method {
            "notifications/progress" => self.progressed(params),
            "notifications/tools/list_changed" => {
                self.tool_changes.send_modify(|count| *count += 1);
            }
            "notifications/cancelled" => self.cancelled(params),
            _ => tracing::trace!("a notification without a use here"),
        }
    }

    /// The server no longer waits for an answer, or ends a subscription.
    fn cancelled(&self, params: Option<&RawValue>) {
        #[derive(Deserialize)]
        struct Cancelled<'a> {
            #[serde(borrow, rename = "requestId")]
            id: &'a RawValue,
        }
        let Some(Ok(cancelled)) =
            params.map(|params| serde_json::from_str::<Cancelled<'_>>(params.get()))
        else {
            return tracing::debug!("a cancellation of nothing");
        };
        match (self.must_listen(), cancelled.id.get().parse()) {
            (true, Ok(id)) => self.correlator.end_subscription(id),
            (true, Err(_)) => {}
            (false, _) => self.requests.cancel(cancelled.id),
        }
    }

    fn progressed(&self, params: Option<&RawValue>) {
        let Some(told) = Progress::read(params) else {
            return tracing::debug!("progress of no request");
        };
        let limit = self.settings.limits.messages_per_answer;
        told.tell(
            |text| self.channel.redact(text),
            |update| self.correlator.progress(told.token, update, limit),
        );
    }
}

/// The request that a broken message would have answered, as far as it says so.
fn id_of_malformed(bytes: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Identified {
        id: u64,
        #[serde(default)]
        method: Option<serde::de::IgnoredAny>,
    }
    let identified: Identified = serde_json::from_slice(bytes).ok()?;
    identified.method.is_none().then_some(identified.id)
}
