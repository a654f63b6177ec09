//! Clocks for tests: one that stands still until it is told, one that follows tokio's.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::time::{Clock, Instant, SharedClock, SystemClock};

/// A clock that moves only when it is told to, each of its sides on its own. Clones are one clock.
///
/// Waits on it end as soon as it has been moved far enough; they need no timer of the runtime.
#[derive(Clone, Debug)]
pub struct ManualClock {
    begun: Instant,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    passed: Duration,
    wall: SystemTime,
}

impl ManualClock {
    /// A clock that shows this calendar time.
    pub fn new(wall: SystemTime) -> Self {
        let state = State {
            passed: Duration::ZERO,
            wall,
        };
        Self {
            begun: Instant::now(),
            state: Arc::new(watch::channel(state).0),
        }
    }

    /// Lets time pass, on both sides.
    pub fn advance(&self, duration: Duration) {
        self.state.send_modify(|state| {
            state.passed += duration;
            state.wall += duration;
        });
    }

    /// Sets calendar time, as an administrator or a time server does; no time passes.
    pub fn set_wall(&self, wall: SystemTime) {
        self.state.send_modify(|state| state.wall = wall);
    }

    /// This clock as a provider takes it.
    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.begun + self.state.borrow().passed
    }

    fn wall(&self) -> SystemTime {
        self.state.borrow().wall
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let begun = self.begun;
        let mut state = self.state.subscribe();
        Box::pin(async move {
            let reached = state
                .wait_for(|state| begun + state.passed >= deadline)
                .await
                .map(|_| ());
            if reached.is_err() {
                // The clock is gone: nobody can move it any more.
                std::future::pending::<()>().await;
            }
        })
    }
}

/// A clock whose calendar side follows tokio's time, so that under `tokio::time::pause` both sides
/// move together.
#[derive(Clone, Copy, Debug)]
pub struct PausedClock {
    begun: Instant,
    wall: SystemTime,
}

impl PausedClock {
    /// A clock that shows this calendar time now.
    pub fn new(wall: SystemTime) -> Self {
        Self {
            begun: Instant::now(),
            wall,
        }
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        self.wall + self.begun.elapsed()
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        SystemClock.sleep_until(deadline)
    }
}
