//! The way in: what the transport's reader hands over.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Duplex;
use super::correlator::{Answer, Refusal};
use crate::wire::{Message, RpcError};
use crate::{Error, ProgressUpdate};

impl Duplex {
    /// Takes one message, or a batch of them (2025-03-26, basic). For the transport's reader; never
    /// waits.
    ///
    /// An answer goes to the request it belongs to or, when there is none, nowhere. The server's
    /// requests are answered through [`Channel::post`](super::Channel::post).
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
            Message::Request { id, method, .. } => self.answer(id, &method),
            Message::Notification { method, params } => self.notified(&method, params),
        }
        Ok(())
    }

    /// Answers a request of the server's. The one place where support for more of them belongs.
    fn answer(&self, id: &RawValue, method: &str) {
        #[derive(Serialize)]
        struct Reply<'a> {
            jsonrpc: &'static str,
            id: &'a RawValue,
            #[serde(skip_serializing_if = "Option::is_none")]
            result: Option<Empty>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<NotFound>,
        }
        #[derive(Serialize)]
        struct Empty {}
        #[derive(Serialize)]
        struct NotFound {
            code: i64,
            message: &'static str,
        }
        let stateless = |negotiated: &super::negotiation::Negotiated| {
            // Such a server must not ask, and a client must not answer (2026-07-28, basic/patterns).
            negotiated.version.is_stateless()
        };
        let answerable = id
            .get()
            .starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit());
        if !answerable || self.negotiated.get().is_some_and(stateless) {
            return tracing::debug!("a request that must not be answered");
        }
        let known = method == "ping";
        let reply = Reply {
            jsonrpc: "2.0",
            id,
            result: known.then_some(Empty {}),
            error: (!known).then_some(NotFound {
                code: RpcError::METHOD_NOT_FOUND,
                message: "Method not found",
            }),
        };
        if let Ok(message) = serde_json::to_vec(&reply) {
            self.channel.post(message);
        }
    }

    fn notified(&self, method: &str, params: Option<&RawValue>) {
        match method {
            "notifications/progress" => self.progressed(params),
            "notifications/tools/list_changed" => {
                self.tool_changes.send_modify(|count| *count += 1);
            }
            _ => tracing::trace!("a notification without a use here"),
        }
    }

    fn progressed(&self, params: Option<&RawValue>) {
        #[derive(Deserialize)]
        struct Progress<'a> {
            #[serde(rename = "progressToken")]
            token: u64,
            #[serde(rename = "progress")]
            done: f64,
            #[serde(default)]
            total: Option<f64>,
            #[serde(borrow, default)]
            message: Option<Cow<'a, str>>,
        }
        let Some(Ok(told)) =
            params.map(|params| serde_json::from_str::<Progress<'_>>(params.get()))
        else {
            return tracing::debug!("progress of no request");
        };
        let message = told
            .message
            .as_deref()
            .map(|text| self.channel.redact(text));
        let update = ProgressUpdate::new(told.done, told.total, message.as_deref());
        let limit = self.settings.limits.messages_per_answer;
        self.correlator.progress(told.token, update, limit);
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
