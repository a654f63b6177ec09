//! Runs fetches: one at a time, each in a task of its own, each under a deadline.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::cell::{Cell, Join, Look, Order, Outcome, Want};
use super::event::CredentialEvent;
use super::flight::{AbortOnDrop, Flight, Ticket, Waiter, race, tell};
use super::windows::Life;
use crate::time::{Instant, SharedClock, SystemClock};
use crate::{
    Challenge, CredentialError, CredentialErrorKind, Credentials, Fingerprint, MaybeReady,
    Recovery, Rejection,
};

/// How long one fetch may take, its store included.
const DEADLINE: Duration = Duration::from_secs(30);
/// How much longer a caller waits for the word of a fetch than the fetch may take: the task that
/// runs it may sit in a runtime that nobody drives.
const GRACE: Duration = Duration::from_secs(1);
/// How often a caller joins: twice when a fetch is voided by a rejection or its runtime goes away.
const ROUNDS: usize = 3;

/// The future of one fetch.
pub(crate) type FetchFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Fetched, CredentialError>> + Send + 'a>>;

/// What brings new credentials; never called twice at a time.
pub(crate) trait Fetch: Send + Sync + 'static {
    fn fetch(&self, context: FetchContext) -> FetchFuture<'_>;
}

/// Why and how credentials are fetched.
#[derive(Clone, Debug)]
pub(crate) struct FetchContext {
    pub(crate) clock: SharedClock,
    /// When the fetch is cut off.
    pub(crate) deadline: Instant,
    /// Refused by the server: whatever brings it back from a store is of no use.
    pub(crate) refused: Option<Fingerprint>,
    pub(crate) scopes: Vec<String>,
}

/// What a fetch brought.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) credentials: Credentials,
    pub(crate) life: Life,
    /// Another process had fetched it.
    pub(crate) adopted: bool,
}

/// Told what happens.
pub(crate) type Observer = Arc<dyn Fn(&CredentialEvent<'_>) + Send + Sync>;

/// The shared part: settings, and the state that outlives callers.
#[derive(Clone)]
pub(crate) struct Engine {
    cell: Arc<Cell<Waiter>>,
    fetch: Arc<dyn Fetch>,
    pub(crate) clock: SharedClock,
    pub(crate) deadline: Duration,
    pub(crate) observer: Option<Observer>,
}

impl Engine {
    pub(crate) fn new(fetch: Arc<dyn Fetch>) -> Self {
        Self {
            cell: Arc::new(Cell::new()),
            fetch,
            clock: Arc::new(SystemClock),
            deadline: DEADLINE,
            observer: None,
        }
    }

    /// Another fetch behind the same state; for settings, before there is any.
    pub(crate) fn set_fetch(&mut self, fetch: Arc<dyn Fetch>) {
        self.fetch = fetch;
    }

    pub(crate) fn credentials(&self) -> MaybeReady<'_, Result<Credentials, CredentialError>> {
        match self.cell.look(self.clock.now()) {
            Look::Fresh(credentials) => MaybeReady::ready(Ok(credentials)),
            Look::Due(credentials) => {
                self.refresh_early();
                MaybeReady::ready(Ok(credentials))
            }
            Look::Gone => MaybeReady::new(async {
                let found = self.wait(Want::Usable).await?;
                found.ok_or_else(|| CredentialError::unavailable("there is no credential"))
            }),
        }
    }

    pub(crate) fn rejected<'a>(
        &'a self,
        rejection: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        let refused = rejection.credentials.fingerprint();
        if rejection.status == StatusCode::UNAUTHORIZED {
            self.observe(&CredentialEvent::Rejected {
                fingerprint: refused,
            });
            return MaybeReady::new(self.recover(refused, Want::InsteadOf(refused)));
        }
        let needs_scopes = rejection
            .challenges
            .iter()
            .any(|challenge| challenge.error() == Some("insufficient_scope"));
        if !needs_scopes {
            // The server knows who is asking and says no; another token would not change it.
            return MaybeReady::ready(Ok(Recovery::GiveUp));
        }
        MaybeReady::new(async move {
            let scopes: Vec<String> = rejection
                .challenges
                .iter()
                .flat_map(Challenge::scopes)
                .map(str::to_owned)
                .collect();
            self.recover(refused, Want::Scopes(refused, &scopes)).await
        })
    }

    /// Puts in credentials that were had in another way.
    pub(crate) fn replace(&self, credentials: Credentials, life: Life) {
        self.cell.replace(credentials, life);
    }

    /// Holds nothing any more, and takes nothing over from a fetch that is under way.
    pub(crate) fn clear(&self) {
        self.cell.clear();
    }

    async fn recover(
        &self,
        refused: Fingerprint,
        want: Want<'_>,
    ) -> Result<Recovery, CredentialError> {
        match self.wait(want).await {
            Ok(Some(fresh)) if fresh.fingerprint() != refused => Ok(Recovery::Retry),
            Ok(_) => Ok(Recovery::GiveUp),
            Err(error) => match error.kind() {
                CredentialErrorKind::NeedsAuthorization(required) => {
                    Ok(Recovery::NeedsAuthorization(required.clone()))
                }
                _ => Err(error),
            },
        }
    }

    /// Gives what is wanted, fetching it if nobody does; `None` when asking would be vain. What it
    /// gives may still be what was refused, when the source has nothing else.
    async fn wait(&self, want: Want<'_>) -> Result<Option<Credentials>, CredentialError> {
        for _ in 0..ROUNDS {
            let (waiter, ours) = match self.join(want)? {
                Joined::Now(credentials) => return Ok(credentials),
                Joined::Wait { waiter, ours } => (waiter, ours),
            };
            match self.outcome(waiter).await {
                // A fetch that others began did not ask for our scopes: look again.
                Some(Outcome::Fresh(_)) if !ours && matches!(want, Want::Scopes(..)) => {}
                Some(Outcome::Fresh(credentials)) => return Ok(Some(credentials)),
                Some(Outcome::Failed(error)) => return Err(error),
                Some(Outcome::Void) | None => {}
            }
        }
        Err(CredentialError::unavailable(
            "the refresh did not come to an end",
        ))
    }

    fn refresh_early(&self) {
        if Handle::try_current().is_ok() {
            // The caller has a valid token; a failure is told to the observer and to the log.
            let _ = self.join(Want::Early);
        }
    }

    fn join(&self, want: Want<'_>) -> Result<Joined, CredentialError> {
        let now = self.clock.now();
        let mut sender = None;
        let joined = self.cell.join(want, now, |id| {
            let (send, receive) = watch::channel(None);
            sender = Some(send);
            Waiter { id, receive }
        });
        Ok(match joined {
            Join::Held(credentials) => Joined::Now(Some(credentials)),
            Join::Vain => Joined::Now(None),
            Join::Failed(error) => return Err(error),
            Join::Wait(waiter) => Joined::Wait {
                waiter,
                ours: false,
            },
            Join::Start(waiter, order) => {
                let ticket = Ticket {
                    cell: Arc::clone(&self.cell),
                    id: order.id,
                    sender,
                };
                self.launch(ticket, order, want, now)?;
                Joined::Wait { waiter, ours: true }
            }
        })
    }

    fn launch(
        &self,
        ticket: Ticket,
        order: Order,
        want: Want<'_>,
        now: Instant,
    ) -> Result<(), CredentialError> {
        let runtime = Handle::try_current().map_err(|_| {
            CredentialError::misconfigured("refreshing a credential needs a tokio runtime")
        })?;
        let deadline = now + self.deadline;
        let context = FetchContext {
            clock: Arc::clone(&self.clock),
            deadline,
            refused: match want {
                Want::InsteadOf(refused) | Want::Scopes(refused, _) => Some(refused),
                Want::Usable | Want::Early => None,
            },
            scopes: order.scopes.clone(),
        };
        let fetch = Arc::clone(&self.fetch);
        let flight = Flight {
            ticket,
            order,
            clock: Arc::clone(&self.clock),
            observer: self.observer.clone(),
        };
        // The fetch has a task of its own inside the flight's, so that neither its panic nor its
        // blocking keeps the flight from telling those who wait.
        let work = AbortOnDrop(runtime.spawn(async move { fetch.fetch(context).await }));
        runtime.spawn(flight.run(work, deadline));
        Ok(())
    }

    /// The word of a fetch; `None` when it will not come.
    async fn outcome(&self, mut waiter: Waiter) -> Option<Outcome> {
        let id = waiter.id;
        let limit = self.clock.now() + self.deadline + GRACE;
        let word = async move {
            let word = waiter.receive.wait_for(Option::is_some).await;
            word.ok().and_then(|word| word.clone())
        };
        let told = race(pin!(word), self.clock.sleep_until(limit)).await;
        if told.is_none() {
            self.cell.abandon(id);
        }
        told.flatten()
    }

    fn observe(&self, event: &CredentialEvent<'_>) {
        tell(self.observer.as_ref(), event);
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("cell", &self.cell)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

enum Joined {
    Now(Option<Credentials>),
    Wait { waiter: Waiter, ours: bool },
}
