//! Refreshes behind the back of callers who were given what is stale.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// At the same time, over all keys. Beyond it a stale set is given and not refreshed yet.
const MOST: usize = 16;

/// The time of one refresh, everything included.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a key is left alone after a refresh that failed.
pub(crate) const PAUSE: Duration = Duration::from_secs(5);

/// The owner of the tasks: they end when they are done, with their deadline, or with this.
#[derive(Debug, Default)]
pub(crate) struct Refreshes(Mutex<JoinSet<()>>);

impl Refreshes {
    /// Starts a refresh, if there is a runtime and room.
    pub(crate) fn start<F>(&self, refresh: impl FnOnce() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut tasks = self.0.lock();
        while tasks.try_join_next().is_some() {}
        if tasks.len() < MOST {
            tasks.spawn_on(refresh(), &runtime);
        }
    }
}
