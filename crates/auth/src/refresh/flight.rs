//! One fetch on its way: its task, its deadline, and the word to those who wait.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::cell::{Cell, Order, Outcome};
use super::engine::{Fetched, Observer};
use super::event::CredentialEvent;
use crate::time::{Instant, SharedClock};
use crate::{CredentialError, Credentials, panics};

/// What callers wait on.
#[derive(Clone)]
pub(super) struct Waiter {
    pub(super) id: u64,
    pub(super) receive: watch::Receiver<Option<Outcome>>,
}

/// The right to end one fetch. Dropped unused (its runtime is gone), it makes room for the next.
pub(super) struct Ticket {
    pub(super) cell: Arc<Cell<Waiter>>,
    pub(super) id: u64,
    pub(super) sender: Option<watch::Sender<Option<Outcome>>>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Room first, word second: whoever hears that nothing comes can begin at once.
        self.cell.abandon(self.id);
        self.sender = None;
    }
}

pub(super) struct Flight {
    pub(super) ticket: Ticket,
    pub(super) order: Order,
    pub(super) clock: SharedClock,
    pub(super) observer: Option<Observer>,
}

impl Flight {
    pub(super) async fn run(
        self,
        mut work: AbortOnDrop<Result<Fetched, CredentialError>>,
        deadline: Instant,
    ) {
        let result = match race(Pin::new(&mut work.0), self.clock.sleep_until(deadline)).await {
            Some(Ok(result)) => result,
            // The payload of a panic may hold the token; it goes no further.
            Some(Err(error)) if error.is_panic() => Err(panics::error()),
            Some(Err(_)) => Err(CredentialError::unavailable(
                "the source of the credential was cut off",
            )),
            None => Err(CredentialError::unavailable(
                "the source of the credential did not answer in time",
            )),
        };
        drop(work);
        self.land(result);
    }

    fn land(mut self, result: Result<Fetched, CredentialError>) {
        let now = self.clock.now();
        let failed = result.as_ref().err().cloned();
        let fetched = result
            .as_ref()
            .ok()
            .map(|fetched| (fetched.life, fetched.adopted));
        let (outcome, pause) = self.ticket.cell.finish(
            self.order.id,
            result.map(|fetched| (fetched.credentials, fetched.life)),
            now,
            fastrand::f64(),
        );
        match (&outcome, failed, fetched) {
            (Outcome::Fresh(credentials), _, Some((life, adopted))) => {
                self.tell_fresh(credentials, life.expires_at.map(|end| end - now), adopted);
            }
            (_, Some(error), _) => {
                tracing::warn!(
                    reason = self.order.reason.as_str(),
                    previous = self.order.previous.map(tracing::field::display),
                    kind = error.kind().as_str(),
                    pause = ?pause,
                    "credential_refresh_failed"
                );
                tell(
                    self.observer.as_ref(),
                    &CredentialEvent::RefreshFailed {
                        error: &error,
                        pause,
                    },
                );
            }
            _ => {}
        }
        if let Some(sender) = self.ticket.sender.take() {
            sender.send_replace(Some(outcome));
        }
    }

    fn tell_fresh(&self, credentials: &Credentials, lifetime: Option<Duration>, adopted: bool) {
        let fingerprint = credentials.fingerprint();
        if self.order.previous == Some(fingerprint) {
            // A file read again, a source that keeps its token: nothing happened.
            tracing::debug!(%fingerprint, "credential_unchanged");
            return;
        }
        if adopted {
            tracing::info!(%fingerprint, "credential_adopted");
            tell(
                self.observer.as_ref(),
                &CredentialEvent::Adopted { fingerprint },
            );
            return;
        }
        tracing::info!(
            %fingerprint,
            previous = self.order.previous.map(tracing::field::display),
            reason = self.order.reason.as_str(),
            lifetime = ?lifetime,
            "credential_refreshed"
        );
        tell(
            self.observer.as_ref(),
            &CredentialEvent::Refreshed {
                fingerprint,
                previous: self.order.previous,
                reason: self.order.reason,
                lifetime,
            },
        );
    }
}

/// An observer that panics spoils nothing but its own view.
pub(super) fn tell(observer: Option<&Observer>, event: &CredentialEvent<'_>) {
    if let Some(observer) = observer {
        let _ = catch_unwind(AssertUnwindSafe(|| observer(event)));
    }
}

/// A task that ends with its owner.
pub(super) struct AbortOnDrop<T>(pub(super) JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What `work` gives, or `None` when `limit` is over first.
pub(super) async fn race<F: Future>(
    mut work: Pin<&mut F>,
    mut limit: Pin<Box<dyn Future<Output = ()> + Send>>,
) -> Option<F::Output> {
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        limit.as_mut().poll(context).map(|()| None)
    })
    .await
}
