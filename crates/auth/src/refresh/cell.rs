//! The state behind a refreshed credential, without tasks and time of its own, so that a model
//! checker can walk through it: what is held, who is fetching, what failed.

#[cfg(all(test, loom))]
mod model;

#[cfg(loom)]
use loom::sync::{Mutex, MutexGuard};
use std::fmt;
use std::sync::PoisonError;
#[cfg(not(loom))]
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::backoff::{self, Budget};
use super::event::RefreshReason;
use super::slot::Slot;
use super::windows::Life;
use crate::time::Instant;
use crate::{CredentialError, Credentials, Fingerprint};

/// How long a credential that its source gave again after a rejection is left as it is.
const STUCK: Duration = Duration::from_secs(5);
/// The most scopes that are remembered between refreshes.
const MAX_SCOPES: usize = 64;

/// `W` is what callers wait on: a channel in life, something simpler in a model.
pub(crate) struct Cell<W> {
    slot: Slot<Held>,
    state: Mutex<State<W>>,
}

#[derive(Clone)]
struct Held {
    credentials: Credentials,
    life: Life,
    /// The source gave it again although a server had refused it: until then, asking again is vain.
    stuck_until: Option<Instant>,
}

struct State<W> {
    next_id: u64,
    flight: Option<Flight<W>>,
    failure: Option<Failure>,
    failures: u32,
    budget: Budget,
    /// Scopes that were asked for with success, so that the next refresh does not lose them.
    scopes: Vec<String>,
    last: Option<Fingerprint>,
}

struct Flight<W> {
    id: u64,
    waiter: W,
    reason: RefreshReason,
    scopes: Vec<String>,
    /// Credentials that were refused while this flight was on its way: it may have begun before,
    /// so if it brings just those, it does not count.
    void: Option<Fingerprint>,
    /// Somebody put in other credentials meanwhile, or took them away: that counts more than what
    /// this brings.
    superseded: bool,
}

struct Failure {
    error: CredentialError,
    until: Instant,
}

/// What is held, at one look.
pub(crate) enum Look {
    /// Usable.
    Fresh(Credentials),
    /// Usable, and it is time to fetch the next.
    Due(Credentials),
    /// Nothing that may be sent.
    Gone,
}

/// What a caller wants.
#[derive(Clone, Copy)]
pub(crate) enum Want<'a> {
    Usable,
    /// The next one, without waiting for it.
    Early,
    /// Any but the one that was refused.
    InsteadOf(Fingerprint),
    /// One with these scopes instead of the one that was refused.
    Scopes(Fingerprint, &'a [String]),
}

/// What a caller has to do.
pub(crate) enum Join<W> {
    /// Nothing: these are held.
    Held(Credentials),
    /// Wait for a fetch that is under way.
    Wait(W),
    /// Fetch, then wait like the others.
    Start(W, Order),
    /// Nothing: it failed a moment ago, and the source is left alone.
    Failed(CredentialError),
    /// Nothing: asking would not help.
    Vain,
}

/// A fetch that has to be made; ends with [`Cell::finish`] or [`Cell::abandon`].
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) reason: RefreshReason,
    pub(crate) previous: Option<Fingerprint>,
    pub(crate) scopes: Vec<String>,
}

/// How a fetch ended, for those who waited.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Fresh(Credentials),
    Failed(CredentialError),
    /// It brought what had been refused meanwhile: ask again.
    Void,
}

impl<W: Clone> Cell<W> {
    pub(crate) fn new() -> Self {
        Self {
            slot: Slot::empty(),
            state: Mutex::new(State {
                next_id: 0,
                flight: None,
                failure: None,
                failures: 0,
                budget: Budget::new(),
                scopes: Vec::new(),
                last: None,
            }),
        }
    }

    /// The hot path: no lock, no allocation.
    pub(crate) fn look(&self, now: Instant) -> Look {
        self.slot.with(|held| match held {
            Some(held) if held.life.usable_until.is_none_or(|end| now < end) => {
                let credentials = held.credentials.clone();
                match held.life.refresh_at {
                    Some(at) if now >= at => Look::Due(credentials),
                    _ => Look::Fresh(credentials),
                }
            }
            _ => Look::Gone,
        })
    }

    /// Finds out what a caller has to do. `waiter` is made only when a fetch begins.
    pub(crate) fn join(
        &self,
        want: Want<'_>,
        now: Instant,
        waiter: impl FnOnce(u64) -> W,
    ) -> Join<W> {
        let mut state = self.state();
        let held = self.slot.get();
        let (reason, asked) = match want {
            Want::Usable => match self.look(now) {
                Look::Fresh(credentials) | Look::Due(credentials) => {
                    return Join::Held(credentials);
                }
                Look::Gone if state.last.is_none() => (RefreshReason::First, &[][..]),
                Look::Gone => (RefreshReason::Expired, &[][..]),
            },
            Want::Early => match self.look(now) {
                Look::Due(_) => (RefreshReason::Early, &[][..]),
                Look::Fresh(credentials) => return Join::Held(credentials),
                Look::Gone => return Join::Vain,
            },
            Want::InsteadOf(refused) => {
                if let Some(held) = held {
                    if held.credentials.fingerprint() != refused {
                        return Join::Held(held.credentials);
                    }
                    if held.stuck_until.is_some_and(|until| now < until) || !state.budget.take(now)
                    {
                        return Join::Vain;
                    }
                    self.slot.set(None);
                    if let Some(flight) = &mut state.flight {
                        flight.void = Some(refused);
                    }
                }
                (RefreshReason::Rejected, &[][..])
            }
            Want::Scopes(refused, asked) => {
                if let Some(held) = held
                    && held.credentials.fingerprint() != refused
                {
                    return Join::Held(held.credentials);
                }
                let vain = asked.iter().all(|scope| state.scopes.contains(scope));
                if state.flight.is_none() && (vain || !state.budget.take(now)) {
                    return Join::Vain;
                }
                (RefreshReason::Scopes, asked)
            }
        };
        if let Some(flight) = &state.flight {
            return Join::Wait(flight.waiter.clone());
        }
        if let Some(failure) = &state.failure
            && now < failure.until
        {
            return Join::Failed(failure.error.with_pause(failure.until - now));
        }
        let (waiter, order) = state.start(reason, asked, waiter);
        Join::Start(waiter, order)
    }

    /// Ends a fetch: publishes what it brought, or remembers why it failed. A failure never
    /// displaces what is held. Gives the outcome and, after a failure, the pause.
    pub(crate) fn finish(
        &self,
        id: u64,
        result: Result<(Credentials, Life), CredentialError>,
        now: Instant,
        chance: f64,
    ) -> (Outcome, Duration) {
        let mut state = self.state();
        // A flight that was given up as lost may still come home; what it brings is good.
        let flight = state.flight.take_if(|flight| flight.id == id);
        let reason = flight.as_ref().map(|flight| flight.reason);
        if flight.as_ref().is_some_and(|flight| flight.superseded) {
            let outcome = match self.slot.get() {
                Some(held) => Outcome::Fresh(held.credentials),
                None => Outcome::Void,
            };
            return (outcome, Duration::ZERO);
        }
        match result {
            Ok((credentials, life)) => {
                let fingerprint = credentials.fingerprint();
                if flight.as_ref().and_then(|flight| flight.void) == Some(fingerprint) {
                    return (Outcome::Void, Duration::ZERO);
                }
                let again =
                    reason == Some(RefreshReason::Rejected) && state.last == Some(fingerprint);
                self.slot.set(Some(Held {
                    credentials: credentials.clone(),
                    life,
                    stuck_until: again.then(|| now + STUCK),
                }));
                state.last = Some(fingerprint);
                state.failure = None;
                state.failures = 0;
                if let Some(flight) = flight {
                    state.scopes = flight.scopes;
                }
                (Outcome::Fresh(credentials), Duration::ZERO)
            }
            Err(error) => {
                if reason == Some(RefreshReason::Scopes) && !error.is_transient() {
                    // The wider token was refused; this says nothing of the one that is held.
                    return (Outcome::Failed(error), Duration::ZERO);
                }
                state.failures = state.failures.saturating_add(1);
                let pause = backoff::pause(&error, state.failures, chance);
                let until = now + pause;
                let held = self.slot.get();
                if let Some(mut held) = held {
                    held.life.refresh_at = held.life.refresh_at.map(|at| at.max(until));
                    self.slot.set(Some(held));
                }
                let told = error.with_pause(pause);
                state.failure = Some(Failure { error, until });
                (Outcome::Failed(told), pause)
            }
        }
    }

    /// Ends a fetch that will not come home: its task is gone.
    pub(crate) fn abandon(&self, id: u64) {
        self.state().flight.take_if(|flight| flight.id == id);
    }

    /// Puts in credentials that somebody else fetched, and forgets what failed.
    pub(crate) fn replace(&self, credentials: Credentials, life: Life) {
        let mut state = self.state();
        state.last = Some(credentials.fingerprint());
        state.failure = None;
        state.failures = 0;
        if let Some(flight) = &mut state.flight {
            flight.superseded = true;
        }
        self.slot.set(Some(Held {
            credentials,
            life,
            stuck_until: None,
        }));
    }

    /// Holds nothing any more, and takes nothing over from a fetch that is under way.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        if let Some(flight) = &mut state.flight {
            flight.superseded = true;
        }
        state.failure = None;
        state.failures = 0;
        state.scopes.clear();
        state.last = None;
        self.slot.set(None);
    }

    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Clone> State<W> {
    fn start(
        &mut self,
        reason: RefreshReason,
        asked: &[String],
        waiter: impl FnOnce(u64) -> W,
    ) -> (W, Order) {
        let mut scopes = self.scopes.clone();
        for scope in asked {
            if scopes.len() < MAX_SCOPES && !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        let id = self.next_id;
        self.next_id += 1;
        let waiter = waiter(id);
        self.flight = Some(Flight {
            id,
            waiter: waiter.clone(),
            reason,
            scopes: scopes.clone(),
            void: None,
            superseded: false,
        });
        let order = Order {
            id,
            reason,
            previous: self.last,
            scopes,
        };
        (waiter, order)
    }
}

impl<W> fmt::Debug for Cell<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slot.with(|held| {
            f.debug_struct("Cell")
                .field("held", &held.map(|held| held.credentials.fingerprint()))
                .finish_non_exhaustive()
        })
    }
}
