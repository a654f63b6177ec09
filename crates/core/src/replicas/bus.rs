//! Telling all replicas what to forget.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::{Hub, Invalidation};

/// Carries invalidations to all who listen, in this process and in others.
///
/// It may lose one, and says so: a subscriber is told when it may have missed something
/// ([`BusEvent::Missed`]), and from when to when nothing can be heard ([`BusEvent::Away`],
/// [`BusEvent::Back`]). What is kept by its word is then dropped, or kept for a shorter time.
///
/// ```
/// # use mcp_core::Principal;
/// use mcp_core::replicas::{BusEvent, Cause, Invalidation, InvalidationBus, LocalBus, Origin};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = LocalBus::new();
/// let (mine, other) = (Origin::new(), Origin::new());
/// let mut heard = bus.subscribe(mine);
/// assert!(matches!(heard.next().await, Some(BusEvent::Back)));
///
/// let logout = Invalidation::of_principal(&Principal::new("alice")?, None, Cause::LoggedOut);
/// bus.publish(mine, logout.clone()); // not heard by who says it
/// bus.publish(other, logout.clone());
/// assert_eq!(heard.next().await, Some(BusEvent::Invalidated(logout)));
/// assert!(heard.next_now().is_none());
/// # Ok(())
/// # }
/// ```
pub trait InvalidationBus: Debug + Send + Sync {
    /// Tells all others. Never waits and never fails: what cannot be sent now is sent when it can be,
    /// and what cannot be kept until then is made up for by a wider invalidation.
    fn publish(&self, from: Origin, invalidation: Invalidation);

    /// What others say from now on.
    fn subscribe(&self, origin: Origin) -> Subscription;
}

/// Who says something within a process, so that nobody hears itself.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Origin(u64);

impl Origin {
    /// One that nobody else in this process has.
    #[expect(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What a subscriber hears.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BusEvent {
    /// Somebody else said this. It is not to be said again.
    Invalidated(Invalidation),
    /// Something may have been said that was not heard: whatever was kept before now may be wrong.
    Missed,
    /// From now on nothing can be heard.
    Away,
    /// From now on everything is heard. If something was missed while the bus was away,
    /// [`Missed`](Self::Missed) says so on its own.
    Back,
}

/// What is told to subscribers.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Invalidation(Option<Origin>, Invalidation),
    Missed,
    /// Looked at where it is kept.
    StateChanged,
}

/// A subscriber's end of a bus. A bus counts as away until the first event says otherwise.
pub struct Subscription {
    origin: Origin,
    told: broadcast::Receiver<Told>,
    connected: Arc<AtomicBool>,
    /// What the subscriber was told last.
    was_connected: bool,
}

impl Subscription {
    pub(super) fn new(
        origin: Origin,
        told: broadcast::Receiver<Told>,
        connected: Arc<AtomicBool>,
    ) -> Self {
        Self {
            origin,
            told,
            connected,
            was_connected: false,
        }
    }

    /// The next event; `None` when the bus is gone for good. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<BusEvent> {
        loop {
            if let Some(event) = self.state() {
                return Some(event);
            }
            match self.told.recv().await {
                Ok(told) => {
                    if let Some(event) = self.event(told) {
                        return Some(event);
                    }
                }
                Err(RecvError::Lagged(_)) => return Some(BusEvent::Missed),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next event, if it is there.
    pub fn next_now(&mut self) -> Option<BusEvent> {
        loop {
            if let Some(event) = self.state() {
                return Some(event);
            }
            match self.told.try_recv() {
                Ok(told) => {
                    if let Some(event) = self.event(told) {
                        return Some(event);
                    }
                }
                Err(TryRecvError::Lagged(_)) => return Some(BusEvent::Missed),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    fn state(&mut self) -> Option<BusEvent> {
        let connected = self.connected.load(Ordering::Acquire);
        if connected == self.was_connected {
            return None;
        }
        self.was_connected = connected;
        Some(if connected {
            BusEvent::Back
        } else {
            BusEvent::Away
        })
    }

    fn event(&self, told: Told) -> Option<BusEvent> {
        match told {
            Told::Invalidation(from, _) if from == Some(self.origin) => None,
            Told::Invalidation(_, invalidation) => Some(BusEvent::Invalidated(invalidation)),
            Told::Missed => Some(BusEvent::Missed),
            Told::StateChanged => None,
        }
    }
}

impl Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("connected", &self.connected)
            .finish_non_exhaustive()
    }
}

/// A bus within one process, for several caches there and for tests. Never away. Clones are the same
/// bus.
#[derive(Clone, Debug)]
pub struct LocalBus(Hub);

impl LocalBus {
    /// A bus of its own.
    pub fn new() -> Self {
        let hub = Hub::new();
        hub.set_connected(true);
        Self(hub)
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

impl InvalidationBus for LocalBus {
    fn publish(&self, from: Origin, invalidation: Invalidation) {
        self.0.tell(Some(from), invalidation);
    }

    fn subscribe(&self, origin: Origin) -> Subscription {
        self.0.subscribe(origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replicas::Cause;

    fn all() -> Invalidation {
        Invalidation::of_everything(Cause::Asked)
    }

    #[tokio::test]
    async fn a_subscriber_hears_others_and_where_it_stands() {
        let (hub, origin) = (Hub::new(), Origin::new());
        let mut heard = hub.subscribe(origin);
        assert_eq!(heard.next_now(), None);
        hub.set_connected(true);
        hub.set_connected(true);
        assert_eq!(heard.next().await, Some(BusEvent::Back));
        hub.tell(Some(origin), all());
        assert_eq!(heard.next_now(), None);
        hub.tell(None, all());
        hub.tell(Some(Origin::new()), all());
        assert_eq!(heard.next().await, Some(BusEvent::Invalidated(all())));
        assert_eq!(heard.next().await, Some(BusEvent::Invalidated(all())));
        hub.set_connected(false);
        hub.tell_missed();
        assert_eq!(heard.next().await, Some(BusEvent::Away));
        assert_eq!(heard.next().await, Some(BusEvent::Missed));
        // Away and back before anybody looked is no change, and nobody is stuck.
        hub.set_connected(true);
        hub.set_connected(false);
        assert_eq!(heard.next_now(), None);
        drop(hub);
        assert_eq!(heard.next().await, None);
    }

    #[tokio::test]
    async fn who_is_too_far_behind_is_told_that_something_was_missed() {
        let bus = LocalBus::new();
        let mut heard = bus.subscribe(Origin::new());
        let from = Origin::new();
        for _ in 0..5_000 {
            bus.publish(from, all());
        }
        assert_eq!(heard.next().await, Some(BusEvent::Back));
        assert_eq!(heard.next().await, Some(BusEvent::Missed));
        let mut rest = 0;
        while heard.next_now().is_some() {
            rest += 1;
        }
        assert!(rest <= 1_024, "{rest} events were kept");
    }
}
