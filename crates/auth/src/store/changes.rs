//! Word that something has changed in a store.

use std::any::Any;
use std::fmt;

use tokio::sync::watch;

/// Hints that a key has changed, from [`TokenStore::changes`](crate::TokenStore::changes).
pub struct Changes {
    receiver: Option<watch::Receiver<()>>,
    guard: Option<Box<dyn Any + Send + Sync>>,
}

impl Changes {
    /// Changes that nobody tells of: whoever waits has to look.
    pub fn untold() -> Self {
        Self {
            receiver: None,
            guard: None,
        }
    }

    /// A hint whenever something is sent here, from now on.
    pub fn told(receiver: watch::Receiver<()>) -> Self {
        Self {
            receiver: Some(receiver),
            guard: None,
        }
    }

    /// Keeps something as long as somebody waits.
    pub fn with_guard(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// Whether anybody tells of changes, so that looking can be rare.
    pub fn are_told(&self) -> bool {
        self.receiver.is_some()
    }

    /// Waits for the next hint; for ever where none comes. Dropping the future loses none.
    pub async fn next(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            if receiver.changed().await.is_ok() {
                return;
            }
            // Whoever told is gone.
            self.receiver = None;
        }
        std::future::pending::<()>().await;
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("told", &self.are_told())
            .finish_non_exhaustive()
    }
}
