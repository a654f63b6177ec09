//! Who waits for a change of which token, and the one subscription that tells them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_core::auth::Changes;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::Redis;
use crate::connection::{Note, Subscription};

/// Every replica hears of every change of a token: a few messages for each refresh, and no
/// subscribing before each wait.
pub(super) const CHANNEL: &str = "tokens";
/// How long the subscription stays when nobody waits any more.
const IDLE: Duration = Duration::from_secs(60);

pub(super) struct Waiting {
    redis: Redis,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By the digest of the key; as many as there are waits at the moment.
    waits: HashMap<String, watch::Sender<()>>,
    listening: Option<JoinHandle<()>>,
}

impl Waiting {
    pub(super) fn new(redis: Redis) -> Self {
        Self {
            redis,
            state: Arc::default(),
        }
    }

    pub(super) fn changes(&self, digest: String) -> Changes {
        let Ok(runtime) = Handle::try_current() else {
            return Changes::untold();
        };
        let mut state = lock(&self.state);
        let sender = state.waits.entry(digest.clone()).or_default();
        let changes = Changes::told(sender.subscribe()).with_guard(Guard {
            state: Arc::clone(&self.state),
            digest,
        });
        let listens = |task: &JoinHandle<()>| !task.is_finished();
        if !state.listening.as_ref().is_some_and(listens) {
            // The first note says when it begins, and makes everybody look again.
            let subscription = self.redis.subscribe(&self.redis.channel(CHANNEL));
            let work = listen(subscription, Arc::clone(&self.state));
            state.listening = Some(runtime.spawn(work));
        }
        changes
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.state).listening.take() {
            task.abort();
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("waits", &lock(&self.state).waits.len())
            .finish_non_exhaustive()
    }
}

/// Tells those who wait, until there have been none for a while.
async fn listen(mut subscription: Subscription, state: Arc<Mutex<State>>) {
    loop {
        let note = timeout(IDLE, subscription.next()).await;
        let mut state = lock(&state);
        match note {
            Ok(Note::Message(message)) => {
                let digest = std::str::from_utf8(&message).unwrap_or_default();
                if let Some(sender) = state.waits.get(digest) {
                    sender.send_replace(());
                }
            }
            Ok(Note::Gap) => {
                for sender in state.waits.values() {
                    sender.send_replace(());
                }
            }
            Err(_) if state.waits.is_empty() => {
                // Under the lock, so that whoever comes next sees that nobody listens.
                state.listening = None;
                return;
            }
            Err(_) => {}
        }
    }
}

/// Forgets a wait that is over.
struct Guard {
    state: Arc<Mutex<State>>,
    digest: String,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        // `Changes` drops its receiver before this.
        let deserted = |sender: &watch::Sender<()>| sender.receiver_count() == 0;
        if state.waits.get(&self.digest).is_some_and(deserted) {
            state.waits.remove(&self.digest);
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::{Waiting, lock};
    use crate::RedisConfig;

    #[tokio::test(start_paused = true)]
    async fn who_stops_waiting_takes_nobody_along() {
        // Nobody is there; what matters is who would be told.
        let redis = RedisConfig::single("127.0.0.1", 1).open().unwrap();
        let waiting = Waiting::new(redis);
        let (first, mut second) = (waiting.changes("d".into()), waiting.changes("d".into()));
        drop(first);
        if let Some(sender) = lock(&waiting.state).waits.get("d") {
            sender.send_replace(());
        }
        let told = timeout(Duration::from_secs(1), second.next()).await;
        assert!(told.is_ok());
        drop(second);
        assert!(lock(&waiting.state).waits.is_empty());
    }
}
