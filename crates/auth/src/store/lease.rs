//! The right to refresh one key's token.

use std::any::Any;
use std::fmt;

/// The right to refresh one key's token, for one process at a time.
pub struct Lease {
    fence: u64,
    guard: Option<Box<dyn Any + Send + Sync>>,
}

impl Lease {
    /// A lease with its number among the leases of its key; later ones have higher numbers.
    pub fn new(fence: u64) -> Self {
        Self { fence, guard: None }
    }

    /// Keeps something that releases the lease when it is dropped.
    pub fn with_guard(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard = Some(Box::new(guard));
        self
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
            .finish()
    }
}
