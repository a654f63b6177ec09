//! The one seam through which time comes, so that tests can hold it still.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

/// A point in monotonic time. Scheduling uses it, so a wall clock that jumps changes nothing.
pub use tokio::time::Instant;

/// A source of time and sleep.
pub trait Clock: Debug + Send + Sync {
    /// Monotonic time.
    fn now(&self) -> Instant;

    /// Calendar time; only for what is stored or comes from outside as a date.
    fn wall(&self) -> SystemTime;

    /// Waits until `deadline`. Must be awaited within a tokio runtime with time enabled.
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// A clock that is passed around.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock. Under `tokio::time::pause` its monotonic side stands still too.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the seam the lint points to"
    )]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep_until(deadline))
    }
}
