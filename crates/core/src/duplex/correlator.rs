//! Which answer belongs to which request.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::Channel;
use crate::wire::{RpcError, encode_notification};
use crate::{Error, ProgressHandler, ProgressUpdate};

/// The requests in flight. Ids are numbers, given out once and never again.
#[derive(Debug)]
pub(super) struct Correlator {
    next: AtomicU64,
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pending: HashMap<u64, Pending>,
    /// The one request that is meant to stay open, outside the bound.
    subscription: Option<(u64, oneshot::Sender<Answer>)>,
    closed: Option<Error>,
}

#[derive(Debug)]
struct Pending {
    sender: oneshot::Sender<Answer>,
    progress: Option<Arc<dyn ProgressHandler>>,
    messages: usize,
}

/// How a request ended.
#[derive(Debug)]
pub(super) enum Answer {
    /// With a result.
    Result(Box<RawValue>),
    /// With an error of the server's.
    Refused(Refusal),
    /// Without an answer that can be read.
    Lost(Error),
}

/// A JSON-RPC error that outlives the bytes it came in.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Option<Box<RawValue>>,
}

impl Refusal {
    pub(super) fn new(error: RpcError<'_>) -> Self {
        Self {
            code: error.code,
            message: error.message.into_owned(),
            data: error.data.map(ToOwned::to_owned),
        }
    }
}

impl Correlator {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            next: AtomicU64::new(1),
            limit,
            state: Mutex::default(),
        }
    }

    /// A place for the answer to a new request.
    pub(super) fn register(
        &self,
        progress: Option<Arc<dyn ProgressHandler>>,
    ) -> Result<Waiter<'_>, Error> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        if let Some(error) = &state.closed {
            return Err(error.clone());
        }
        if state.pending.len() >= self.limit {
            return Err(Error::limit(
                "pending_requests",
                self.limit,
                "requests in flight",
            ));
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let pending = Pending {
            sender,
            progress,
            messages: 0,
        };
        state.pending.insert(id, pending);
        Ok(self.waiter(id, receiver))
    }

    /// A place for the end of a subscription, of which there is one at a time.
    pub(super) fn register_subscription(&self) -> Result<Waiter<'_>, Error> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        if let Some(error) = &state.closed {
            return Err(error.clone());
        }
        if state.subscription.is_some() {
            return Err(Error::config("somebody listens to this server already"));
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        state.subscription = Some((id, sender));
        Ok(self.waiter(id, receiver))
    }

    fn waiter(&self, id: u64, receiver: oneshot::Receiver<Answer>) -> Waiter<'_> {
        Waiter {
            correlator: self,
            id,
            receiver,
            cancel: None,
        }
    }

    /// Gives the answer to whoever waits for it; `false` when nobody does.
    pub(super) fn complete(&self, id: u64, answer: Answer) -> bool {
        let sender = self.state().take(id);
        // A waiter that has just gone is nobody too.
        sender.is_some_and(|sender| sender.send(answer).is_ok())
    }

    /// Ends the subscription, if that is what the server cancels: it may cancel nothing else of ours
    /// (2026-07-28, basic/patterns/cancellation).
    pub(super) fn end_subscription(&self, id: u64) {
        let mut state = self.state();
        if let Some((_, sender)) = state.subscription.take_if(|(known, _)| *known == id) {
            drop(state);
            let _ = sender.send(Answer::Result(RawValue::NULL.to_owned()));
        }
    }

    /// Tells the request's handler of progress. Past `limit` messages the request ends with an
    /// error instead.
    pub(super) fn progress(&self, id: u64, update: ProgressUpdate<'_>, limit: usize) {
        let handler = {
            let mut state = self.state();
            let Some(pending) = state.pending.get_mut(&id) else {
                return tracing::debug!(id, "progress of no request");
            };
            pending.messages += 1;
            if pending.messages > limit {
                let error = Error::limit("messages_per_answer", limit, "messages in one answer");
                let pending = state.pending.remove(&id);
                drop(state);
                if let Some(pending) = pending {
                    let _ = pending.sender.send(Answer::Lost(error));
                }
                return;
            }
            pending.progress.clone()
        };
        if let Some(handler) = handler {
            // The reader serves everybody: one caller's handler must not take it down.
            let told = catch_unwind(AssertUnwindSafe(|| handler.progress(update)));
            if told.is_err() {
                tracing::error!(id, "a progress handler panicked");
            }
        }
    }

    /// Ends every request, now and later, with an error. The first reason stays.
    pub(super) fn close(&self, error: &Error) {
        let (pending, subscription) = {
            let mut state = self.state();
            if state.closed.is_some() {
                return;
            }
            state.closed = Some(error.clone());
            let pending = std::mem::take(&mut state.pending);
            (pending, state.subscription.take())
        };
        let waiting = pending.into_values().map(|pending| pending.sender);
        for sender in waiting.chain(subscription.map(|(_, sender)| sender)) {
            let _ = sender.send(Answer::Lost(error.clone()));
        }
    }

    /// Why no more requests are taken, if that is so.
    pub(super) fn closed(&self) -> Option<Error> {
        self.state().closed.clone()
    }

    /// How many requests wait for an answer.
    pub(super) fn len(&self) -> usize {
        self.state().pending.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code of others runs under the lock, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whoever waits for the answer to this request, who from now on does not.
    fn take(&mut self, id: u64) -> Option<oneshot::Sender<Answer>> {
        if let Some(pending) = self.pending.remove(&id) {
            return Some(pending.sender);
        }
        let subscription = self.subscription.take_if(|(known, _)| *known == id);
        subscription.map(|(_, sender)| sender)
    }
}

/// Waits for the answer to one request. Dropping it before takes the request back and tells the
/// server, if that was asked for.
#[derive(Debug)]
pub(super) struct Waiter<'a> {
    correlator: &'a Correlator,
    id: u64,
    receiver: oneshot::Receiver<Answer>,
    cancel: Option<(&'a dyn Channel, &'a AtomicBool)>,
}

impl<'a> Waiter<'a> {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// From now on dropping tells the server that nobody waits any more, if the request is on its way
    /// then.
    pub(super) fn cancel_through(&mut self, channel: &'a dyn Channel, under_way: &'a AtomicBool) {
        self.cancel = Some((channel, under_way));
    }

    pub(super) async fn answer(&mut self) -> Answer {
        match (&mut self.receiver).await {
            Ok(answer) => answer,
            // The correlator never drops a sender unsent.
            Err(_) => Answer::Lost(Error::protocol("the connection was dropped")),
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        #[derive(serde::Serialize)]
        struct Cancelled {
            #[serde(rename = "requestId")]
            request_id: u64,
        }
        let waiting = self.correlator.state().take(self.id).is_some();
        // What was not sent cannot be cancelled (2025-11-25, basic/utilities/cancellation).
        let sent = |(_, under_way): &(_, &AtomicBool)| under_way.load(Ordering::Relaxed);
        let Some((channel, _)) = self.cancel.filter(|cancel| waiting && sent(cancel)) else {
            return;
        };
        let request_id = self.id;
        let params = Cancelled { request_id };
        if let Ok(message) = encode_notification("notifications/cancelled", &params) {
            channel.post(message);
        }
    }
}
