//! The way out: what a transport has to bring.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::atomic::AtomicBool;

use crate::auth::MaybeReady;
use crate::{CallContext, Error, TraceContext, Transport};

/// Sends messages to one peer.
///
/// The way in is not here: the transport reads, calls [`Duplex::deliver`](super::Duplex::deliver)
/// for each message and [`Duplex::close`](super::Duplex::close) once when no more will come.
pub trait Channel: Debug + Send + Sync {
    /// What carries the messages.
    fn transport(&self) -> Transport;

    /// Sends a request, or a notification that must arrive.
    ///
    /// `message` is one JSON object without line breaks. Ready means that it is on its way: it need
    /// not have arrived. The future is dropped when the caller gives up *or when the answer is
    /// already there*; a message that has begun must then still go out whole or not at all. A channel
    /// that waits for other people while it sends sets [`Outgoing::under_way`] once the message leaves:
    /// a request that is given up before is not cancelled at the peer, which never heard of it. A
    /// channel that sends credentials notes them with
    /// [`CallContext::record_attempt`](crate::CallContext::record_attempt) when `about.tool` is set.
    ///
    /// # Errors
    /// Says that the peer has *not* got the message, except
    /// [`Failure::OutcomeUnknown`](crate::Failure).
    /// [`Failure::HttpStatus`](crate::Failure) during the negotiation counts as an answer: the
    /// server did not understand, and the next way is tried.
    fn send<'a>(
        &'a self,
        message: Vec<u8>,
        about: Outgoing<'a>,
    ) -> MaybeReady<'a, Result<(), Error>>;

    /// Takes a message that nobody waits for: a cancellation, or the answer to a request of the
    /// server's.
    ///
    /// Called from `Drop` and from the reader: it must not block and must not need a runtime.
    /// What does not fit into the channel's bounded queue is dropped.
    fn post(&self, message: Vec<u8>);

    /// The text without the secrets that went to this peer, which may have echoed them.
    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        Cow::Borrowed(text)
    }
}

/// What a message is about, for a channel that sends each with its own credentials.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Outgoing<'a> {
    /// The JSON-RPC method.
    pub method: &'a str,
    /// The tool that is called, by its name on the server; `None` outside `tools/call`.
    pub tool: Option<&'a str>,
    /// For whom and until when.
    pub context: &'a CallContext,
    /// The trace that it belongs to.
    pub(super) trace: Option<&'a TraceContext>,
    /// Whether the peer may have got some of it.
    under_way: Option<&'a AtomicBool>,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(method: &'a str, context: &'a CallContext) -> Self {
        Self {
            method,
            tool: None,
            context,
            trace: None,
            under_way: None,
        }
    }

    pub(super) fn telling(mut self, under_way: &'a AtomicBool) -> Self {
        self.under_way = Some(under_way);
        self
    }

    /// Told whether the peer may have got some of the message. For channels that wait before they
    /// send, for credentials say; when sending is over it is set anyway.
    pub fn under_way(&self) -> Option<&'a AtomicBool> {
        self.under_way
    }
}
