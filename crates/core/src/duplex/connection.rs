//! One connection with one peer: requests out, answers back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::correlator::{Answer, Correlator, Refusal, Waiter};
use super::negotiation::Negotiated;
use super::params::Params;
use super::requests::Requests;
use super::{Channel, InputHandler, Offer, Outgoing, declared};
use crate::wire::{ClientIdentity, RequestMeta, RpcError, clean, encode_request};
use crate::{CallContext, Error, ErrorKind, Failure, Limits, ProtocolVersion, ServerInfo};

/// MCP with one peer over one [`Channel`].
#[derive(Debug)]
pub struct Duplex {
    pub(super) channel: Box<dyn Channel>,
    pub(super) settings: Settings,
    /// What the client says that it can do.
    pub(super) capabilities: Value,
    pub(super) correlator: Correlator,
    pub(super) requests: Requests,
    pub(super) negotiated: OnceLock<Negotiated>,
    pub(super) tool_changes: watch::Sender<u64>,
}

/// How a connection behaves.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Settings {
    /// The bounds.
    pub limits: Limits,
    /// Who the client says it is.
    pub client: ClientIdentity,
    /// The one version to speak; `None` finds the newest that both sides know.
    pub protocol: Option<ProtocolVersion>,
    /// Answers what the server asks back.
    pub input: Option<Arc<dyn InputHandler>>,
    /// Extensions of the protocol that the client declares, and their settings.
    pub extensions: Map<String, Value>,
}

impl Settings {
    /// Default settings with these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }
}

impl Duplex {
    /// A connection over a channel. Nothing is sent before [`negotiate`](Self::negotiate).
    pub fn new(channel: Box<dyn Channel>, settings: Settings) -> Self {
        let capabilities = declared(settings.input.as_deref(), &settings.extensions);
        Self {
            correlator: Correlator::new(settings.limits.pending_requests),
            requests: Requests::new(),
            channel,
            capabilities,
            negotiated: OnceLock::new(),
            tool_changes: watch::Sender::new(0),
            settings,
        }
    }

    /// What the server said of itself, once it is negotiated.
    pub fn server(&self) -> Option<&ServerInfo> {
        self.negotiated.get().map(|negotiated| &negotiated.info)
    }

    /// The bounds that it keeps.
    pub fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// How it reaches its peer.
    pub fn channel(&self) -> &dyn Channel {
        &*self.channel
    }

    /// Ends every request, those that wait and those that come, with an error: the peer is gone.
    /// For the transport. Only the first call has an effect.
    pub fn close(&self, error: &Error) {
        self.correlator.close(error);
    }

    /// Why nothing can be asked any more, if that is so.
    pub fn closed(&self) -> Option<Error> {
        self.correlator.closed()
    }

    /// How many requests wait for an answer.
    pub fn in_flight(&self) -> usize {
        self.correlator.len()
    }

    /// Counts how often the server said that its tools changed. A storm of notifications is one
    /// change for whoever looks later.
    pub fn tool_changes(&self) -> watch::Receiver<u64> {
        self.tool_changes.subscribe()
    }

    /// Asks for anything and gives the result as the server wrote it.
    ///
    /// `_meta` of `params` is kept, and completed as the version wants it. Bounded by the context's
    /// deadline or [`Limits::call_timeout`], whichever is earlier; dropping the future cancels the
    /// request at the server.
    ///
    /// # Errors
    /// [`Failure::Rpc`] when the server refuses, or did not offer such a thing in its handshake: then
    /// it is not asked, and the code is -32601. The reason why the connection is closed; timeouts,
    /// limits and cancellation.
    pub async fn request(
        &self,
        method: &str,
        params: &Map<String, Value>,
        context: &CallContext,
    ) -> Result<Box<RawValue>, Error> {
        let negotiated = self.negotiated()?;
        let version = negotiated.version;
        negotiated.capabilities.permit(method, version)?;
        let trace = context.current_trace();
        let mut about = Outgoing::new(method, context);
        about.trace = trace.as_deref();
        let asked = self.result(about, |meta| Params {
            fields: params,
            meta,
        });
        let limit = self.settings.limits.call_timeout;
        tracing::trace!(method, %version, "request");
        context.bound(limit, "waiting for an answer", asked).await
    }

    /// Asks whether the server is alive. 2026-07-28 has no `ping`; its servers are asked who they
    /// are.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub async fn ping(&self, context: &CallContext) -> Result<(), Error> {
        let stateless = self.negotiated()?.version.is_stateless();
        let method = if stateless { "server/discover" } else { "ping" };
        self.request(method, &Map::new(), context).await.map(drop)
    }

    /// Sends a request of the negotiated version and gives its result.
    pub(super) async fn result<'a, P: Serialize>(
        &'a self,
        about: Outgoing<'a>,
        params: impl FnOnce(RequestMeta<'a>) -> P,
    ) -> Result<Box<RawValue>, Error> {
        match self.ask(about, params).await? {
            Answer::Result(result) => Ok(result),
            Answer::Refused(refusal) => Err(self.refused(&refusal)),
            Answer::Lost(error) => Err(error),
        }
    }

    /// Sends a request of the negotiated version, cancelled at the server if nobody waits any more.
    pub(super) async fn ask<'a, P: Serialize>(
        &'a self,
        about: Outgoing<'a>,
        params: impl FnOnce(RequestMeta<'a>) -> P,
    ) -> Result<Answer, Error> {
        let version = self.negotiated()?.version;
        let Self {
            settings,
            capabilities,
            ..
        } = self;
        let trace = about.trace;
        let wants_progress = about.context.wants_progress();
        self.exchange(about, true, |id| {
            let meta = RequestMeta::new(version, &settings.client, capabilities, trace);
            params(if wants_progress {
                meta.with_progress_token(id)
            } else {
                meta
            })
        })
        .await
    }

    /// Sends a request and waits for its answer, without a deadline of its own.
    pub(super) async fn exchange<'a, P: Serialize>(
        &'a self,
        about: Outgoing<'a>,
        cancellable: bool,
        params: impl FnOnce(u64) -> P,
    ) -> Result<Answer, Error> {
        let waiter = self.correlator.register(about.context.progress_handler())?;
        self.send_and_wait(waiter, about, cancellable, params).await
    }

    /// As [`exchange`](Self::exchange), with a place for the answer.
    pub(super) async fn send_and_wait<'a, P: Serialize>(
        &'a self,
        waiter: Waiter<'a>,
        about: Outgoing<'a>,
        cancellable: bool,
        params: impl FnOnce(u64) -> P,
    ) -> Result<Answer, Error> {
        let under_way = AtomicBool::new(false);
        let mut waiter = waiter;
        let message = encode_request(waiter.id(), about.method, &params(waiter.id()))?;
        if cancellable {
            waiter.cancel_through(&*self.channel, &under_way);
        }
        let sent = match self.channel.send(message, about.telling(&under_way)).now() {
            Ok(sent) => sent,
            // The answer may come on its own way before sending is known to be over.
            Err(sending) => tokio::select! {
                biased;
                answer = waiter.answer() => return Ok(answer),
                sent = sending => sent,
            },
        };
        let maybe_there = |error: &Error| error.kind() == ErrorKind::OutcomeUnknown;
        let is_there = sent.as_ref().err().is_none_or(maybe_there);
        under_way.store(is_there, Ordering::Relaxed);
        sent?;
        Ok(waiter.answer().await)
    }

    pub(super) fn negotiated(&self) -> Result<&Negotiated, Error> {
        self.negotiated
            .get()
            .ok_or_else(|| Error::config("the connection is used before its version is negotiated"))
    }

    /// What the server may ask.
    pub(super) fn offer(&self) -> Offer<'_> {
        Offer::new(self.settings.input.as_ref(), &self.capabilities)
    }

    /// The server's error for the caller, cleaned.
    pub(super) fn refused(&self, refusal: &Refusal) -> Error {
        let shown = self.channel.redact(&refusal.message);
        Failure::Rpc {
            code: refusal.code,
            message: clean(&shown, self.settings.limits.snippet_bytes),
        }
        .into()
    }
}

impl Refusal {
    /// The versions that the server lists, if it says that the one asked for is not among them.
    pub(super) fn supported_versions(&self) -> Option<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Supported {
            supported: Vec<String>,
        }
        // Before 2026-07-28 `initialize` was refused with the code for wrong parameters.
        let codes = [RpcError::UNSUPPORTED_VERSION, RpcError::INVALID_PARAMS];
        let data = self.data.as_ref().filter(|_| codes.contains(&self.code))?;
        let listed: Supported = serde_json::from_str(data.get()).ok()?;
        Some(listed.supported)
    }
}
