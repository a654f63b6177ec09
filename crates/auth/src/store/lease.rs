//! The right to refresh one key's token.

use std::any::Any;
use std::fmt;

/// The right to refresh one key's token, for one process at a time.
pub struct Lease {
    fence: u64,
    guard: Option<Box<dyn Any + Send + Sync>>,
    held: Option<Box<dyn Fn() -> bool + Send + Sync>>,
}

impl Lease {
    /// A lease with its number among the leases of its key; later ones have higher numbers.
    pub fn new(fence: u64) -> Self {
        Self {
            fence,
            guard: None,
            held: None,
        }
    }

    /// Keeps something that releases the lease when it is dropped.
    pub fn with_guard(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// Asks this whether the lease is still held, as far as this process can know without asking the
    /// store: a lease that has to be renewed ends when its holder is stopped for too long.
    pub fn with_check(mut self, held: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.held = Some(Box::new(held));
        self
    }

    /// Whether it is still held, as far as this process knows. `false` is certain enough to begin
    /// nothing under it any more; what was done under it may be tried to be saved.
    pub fn is_held(&self) -> bool {
        self.held.as_ref().is_none_or(|held| held())
    }

    /// What releases it when it is dropped, for the store that gave it.
    pub fn guard<T: Any>(&self) -> Option<&T> {
        self.guard.as_ref()?.downcast_ref()
    }

    /// Its number among the leases of its key.
    pub fn fence(&self) -> u64 {
        self.fence
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("fence", &self.fence)
            .field("guarded", &self.guard.is_some())
            .finish_non_exhaustive()
    }
}
