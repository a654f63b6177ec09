//! The server's questions for the handler: taken by the reader, answered beside it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use super::Duplex;
use super::input::{OpenRequest, refuse};
use crate::CallContext;
use crate::auth::Principal;

/// Questions of one server that may be open at once; one more is refused.
const AT_ONCE: usize = 16;

/// Questions on their way to whoever answers them.
#[derive(Debug)]
pub(super) struct Requests {
    places: Arc<Semaphore>,
    sender: mpsc::Sender<Event>,
    receiver: Mutex<mpsc::Receiver<Event>>,
}

#[derive(Debug)]
enum Event {
    Asked(OpenRequest, OwnedSemaphorePermit),
    /// The server no longer waits for this one.
    Cancelled(Box<RawValue>),
}

impl Requests {
    pub(super) fn new() -> Self {
        // Room for each question and its cancellation.
        let (sender, receiver) = mpsc::channel(2 * AT_ONCE);
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            sender,
            receiver: Mutex::new(receiver),
        }
    }

    /// Takes a question; gives the refusal to send when too many are open.
    pub(super) fn push(&self, request: OpenRequest) -> Option<Vec<u8>> {
        let id = request.id.clone();
        let pushed = Arc::clone(&self.places)
            .try_acquire_owned()
            .is_ok_and(|place| self.sender.try_send(Event::Asked(request, place)).is_ok());
        if pushed {
            return None;
        }
        refuse(&id, "too many requests at once").ok()
    }

    /// Withdraws a question, as far as it is still open.
    pub(super) fn cancel(&self, id: &RawValue) {
        // Without room the answer is sent, and the server ignores it.
        let _ = self.sender.try_send(Event::Cancelled(id.to_owned()));
    }
}

impl Duplex {
    /// Lets the [`InputHandler`](super::InputHandler) answer what a server of 2025-11-25 or before
    /// asks, at most 16 questions at once, each within `limit`. For the transport, beside its
    /// reader, as long as the connection lives.
    ///
    /// Each answer is made in a task of its own, so that a handler can neither hold up the reader
    /// nor take it down; the tasks end when this future is dropped.
    pub async fn answer_requests(&self, principal: &Principal, limit: Duration) -> Infallible {
        let mut events = self.requests.receiver.lock().await;
        let mut answers = JoinSet::new();
        let mut open: Vec<(AbortHandle, Box<RawValue>)> = Vec::new();
        loop {
            tokio::select! {
                Some(answered) = answers.join_next_with_id() => {
                    let (task, message) = match answered {
                        Ok((task, message)) => (task, message),
                        Err(error) => (error.id(), None),
                    };
                    let at = open.iter().position(|(answering, _)| answering.id() == task);
                    // One that was withdrawn is no longer there, and is not answered.
                    if let Some((_, id)) = at.map(|at| open.swap_remove(at))
                        && let Some(message) = message.or_else(|| refuse(&id, "not answered").ok())
                    {
                        self.channel.post(message);
                    }
                }
                Some(event) = events.recv() => match event {
                    Event::Asked(request, place) => {
                        let id = request.id.clone();
                        let context = CallContext::new(principal.clone());
                        let answering = answers.spawn(async move {
                            let answer = request.answer(&context);
                            let answer = context.bound(limit, "answering the server", answer).await;
                            drop(place);
                            answer.ok()
                        });
                        open.push((answering, id));
                    }
                    Event::Cancelled(id) => {
                        if let Some(at) = open.iter().position(|(_, open)| open.get() == id.get()) {
                            open.swap_remove(at).0.abort();
                        }
                    }
                },
                else => std::future::pending::<()>().await,
            }
        }
    }
}
