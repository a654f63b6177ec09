//! Handing on within a process what a carrier hears.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::broadcast;

use super::bus::Told;
use super::{Invalidation, Origin, Subscription};

/// Events that a subscriber may be behind; one who is further behind is told that it missed some.
const AHEAD: usize = 1_024;

/// The part of an [`InvalidationBus`](super::InvalidationBus) that is the same for every carrier:
/// hands what is heard to all subscribers of the process, in order, and waits for none of them.
///
/// It begins as away: nothing is relied upon that nobody has connected.
#[derive(Clone)]
pub struct Hub {
    told: broadcast::Sender<Told>,
    connected: Arc<AtomicBool>,
}

impl Hub {
    /// A hub that is away.
    pub fn new() -> Self {
        Self {
            told: broadcast::Sender::new(AHEAD),
            connected: Arc::default(),
        }
    }

    /// Hands an invalidation to all subscribers but the one that it is from.
    pub fn tell(&self, from: Option<Origin>, invalidation: Invalidation) {
        // Nobody listening is no failure.
        let _ = self.told.send(Told::Invalidation(from, invalidation));
    }

    /// Tells all subscribers that something may have been missed.
    pub fn tell_missed(&self) {
        let _ = self.told.send(Told::Missed);
    }

    /// Whether everything that is said elsewhere is heard here now.
    pub fn set_connected(&self, connected: bool) {
        if self.connected.swap(connected, Ordering::AcqRel) != connected {
            let _ = self.told.send(Told::StateChanged);
        }
    }

    /// As [`set_connected`](Self::set_connected) said last.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// What is told from now on, except by this origin itself.
    pub fn subscribe(&self, origin: Origin) -> Subscription {
        Subscription::new(origin, self.told.subscribe(), Arc::clone(&self.connected))
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("connected", &self.is_connected())
            .field("subscribers", &self.told.receiver_count())
            .finish_non_exhaustive()
    }
}
