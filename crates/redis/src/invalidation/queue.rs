//! What has not been sent yet.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mcp_core::replicas::{Cause, Invalidation, Scope};
use tokio::sync::Notify;

/// Different things that wait to be sent; more become one.
pub(super) const MOST: usize = 1_024;

/// Things that are sent together.
const TOGETHER: usize = 128;

/// What is said twice is sent once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashSet<Invalidation>,
    /// Batches that somebody is sending.
    under_way: usize,
}

impl State {
    fn add(&mut self, all: impl IntoIterator<Item = Invalidation>) {
        self.waiting.extend(all);
        let everything = |it: &Invalidation| it.scope == Scope::Everything;
        if self.waiting.len() > MOST || self.waiting.iter().any(everything) {
            self.waiting.clear();
            let all = Invalidation::of_everything(Cause::Asked);
            self.waiting.insert(all);
        }
    }
}

impl Queue {
    pub(super) fn add(&self, invalidation: Invalidation) {
        self.state().add([invalidation]);
        self.changed.notify_waiters();
    }

    /// Some of what waits, once something does. What is not [sent](Batch::sent) comes back.
    pub(super) async fn next(&self) -> Batch<'_> {
        loop {
            let changed = self.changed.notified();
            if let Some(batch) = self.take() {
                return batch;
            }
            changed.await;
        }
    }

    /// Once nothing waits and nobody is sending.
    pub(super) async fn is_empty(&self) {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.state();
                if state.waiting.is_empty() && state.under_way == 0 {
                    return;
                }
            }
            changed.await;
        }
    }

    fn take(&self) -> Option<Batch<'_>> {
        let mut state = self.state();
        if state.waiting.is_empty() {
            return None;
        }
        let things: Vec<_> = state.waiting.iter().take(TOGETHER).cloned().collect();
        for thing in &things {
            state.waiting.remove(thing);
        }
        state.under_way += 1;
        Some(Batch {
            queue: self,
            things,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Some of what waits.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    queue: &'a Queue,
    pub(super) things: Vec<Invalidation>,
}

impl Batch<'_> {
    pub(super) fn sent(mut self) {
        self.things.clear();
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.add(self.things.drain(..));
        state.under_way -= 1;
        drop(state);
        self.queue.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use mcp_core::Principal;

    use super::*;

    fn logout(user: usize) -> Invalidation {
        let user = Principal::new(format!("user-{user}")).unwrap();
        Invalidation::of_principal(&user, None, Cause::LoggedOut)
    }

    #[tokio::test]
    async fn what_is_said_twice_is_sent_once_and_what_is_not_sent_comes_back() {
        let queue = Queue::default();
        for _ in 0..2 {
            queue.add(logout(1));
        }
        let batch = queue.next().await;
        assert_eq!(batch.things, [logout(1)]);
        // Said again while it is being sent: perhaps too late for that one.
        queue.add(logout(1));
        batch.sent();
        drop(queue.next().await);
        let batch = queue.next().await;
        assert_eq!(batch.things, [logout(1)]);
        batch.sent();
        queue.is_empty().await;
    }

    #[tokio::test]
    async fn too_much_becomes_everything() {
        let queue = Queue::default();
        for user in 0..=MOST {
            queue.add(logout(user));
        }
        let all = [Invalidation::of_everything(Cause::Asked)];
        assert_eq!(queue.next().await.things, all);
        queue.add(logout(1));
        assert_eq!(queue.next().await.things, all);
    }
}
