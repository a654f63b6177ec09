//! What has not been sent yet.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mcp_core::replicas::{Cause, Invalidation, Scope};
use tokio::sync::Notify;

/// Different things that wait to be sent; more become one.
pub(super) const MOST: usize = 1_024;

/// Logouts that wait to be sent. They are kept one by one for longer: what becomes of too many costs
/// everybody the token that is held.
const MOST_LOGOUTS: usize = 16 * MOST;

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
    logouts: HashSet<Invalidation>,
    /// Everything else, unless all is to be forgotten.
    waiting: HashSet<Invalidation>,
    /// Everything is to be forgotten, for this reason. That is no logout where it does not say so:
    /// others would go on using tokens of whoever logged out.
    everything: Option<Cause>,
    /// Batches that somebody is sending.
    under_way: usize,
}

impl State {
    fn add(&mut self, it: Invalidation) {
        match (&it.scope, it.cause) {
            (Scope::Everything, cause) => self.widen(cause),
            (_, Cause::LoggedOut) if self.everything != Some(Cause::LoggedOut) => {
                self.logouts.insert(it);
                if self.logouts.len() > MOST_LOGOUTS {
                    self.widen(Cause::LoggedOut);
                }
            }
            (_, _) if self.everything.is_none() => {
                self.waiting.insert(it);
                if self.waiting.len() > MOST {
                    self.widen(Cause::Asked);
                }
            }
            // It is in what waits already.
            _ => {}
        }
    }

    fn widen(&mut self, cause: Cause) {
        let cause = match self.everything {
            None => cause,
            Some(known) if known == cause => cause,
            Some(known) if [known, cause].contains(&Cause::LoggedOut) => Cause::LoggedOut,
            Some(_) => Cause::Asked,
        };
        self.everything = Some(cause);
        self.waiting.clear();
        if cause == Cause::LoggedOut {
            self.logouts.clear();
        }
    }

    fn is_empty(&self) -> bool {
        self.logouts.is_empty() && self.waiting.is_empty() && self.everything.is_none()
    }

    /// Logouts first: somebody's token is in use elsewhere until they are heard.
    fn take(&mut self) -> Vec<Invalidation> {
        let mut things = some(&mut self.logouts, TOGETHER);
        match self.everything.take() {
            Some(cause) => things.push(Invalidation::of_everything(cause)),
            None => things.extend(some(&mut self.waiting, TOGETHER - things.len())),
        }
        things
    }
}

fn some(from: &mut HashSet<Invalidation>, most: usize) -> Vec<Invalidation> {
    let some: Vec<_> = from.iter().take(most).cloned().collect();
    for it in &some {
        from.remove(it);
    }
    some
}

impl Queue {
    pub(super) fn add(&self, invalidation: Invalidation) {
        self.state().add(invalidation);
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
                if state.is_empty() && state.under_way == 0 {
                    return;
                }
            }
            changed.await;
        }
    }

    fn take(&self) -> Option<Batch<'_>> {
        let mut state = self.state();
        let things = state.take();
        if things.is_empty() {
            return None;
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
        for it in self.things.drain(..) {
            state.add(it);
        }
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

    fn refusal(user: usize) -> Invalidation {
        let user = Principal::new(format!("user-{user}")).unwrap();
        Invalidation::of_principal(&user, None, Cause::Refused)
    }

    fn all(cause: Cause) -> Invalidation {
        Invalidation::of_everything(cause)
    }

    /// Everything that is sent of what was added.
    async fn sent(added: impl IntoIterator<Item = Invalidation>) -> Vec<Invalidation> {
        let queue = Queue::default();
        for it in added {
            queue.add(it);
        }
        let mut things = Vec::new();
        while let Some(batch) = queue.take() {
            assert!(batch.things.len() <= TOGETHER + 1);
            things.extend(batch.things.iter().cloned());
            batch.sent();
        }
        queue.is_empty().await;
        things
    }

    #[tokio::test]
    async fn too_much_becomes_everything() {
        assert_eq!(sent((0..MOST).map(refusal)).await.len(), MOST);
        let refusals = || (0..=MOST).map(refusal);
        assert_eq!(sent(refusals()).await, [all(Cause::Asked)]);
        let changed = all(Cause::ToolsChanged);
        assert_eq!(
            sent([changed.clone(), refusal(1)]).await,
            [all(Cause::ToolsChanged)]
        );
        assert_eq!(sent(refusals().chain([changed])).await, [all(Cause::Asked)]);
    }

    #[tokio::test]
    async fn a_logout_among_too_much_stays_one() {
        let (alice, refusals) = (logout(1), || (0..=MOST).map(refusal));
        let both = [alice.clone(), all(Cause::Asked)];
        assert_eq!(
            sent([alice.clone()].into_iter().chain(refusals())).await,
            both
        );
        assert_eq!(sent(refusals().chain([alice.clone()])).await, both);
        // So does one that was not sent and comes back.
        let queue = Queue::default();
        queue.add(alice);
        let batch = queue.next().await;
        queue.add(all(Cause::Asked));
        drop(batch);
        assert_eq!(queue.next().await.things, both);
    }

    #[tokio::test]
    async fn too_many_logouts_become_one_of_all() {
        let logouts = || (0..MOST_LOGOUTS).map(logout);
        assert_eq!(sent(logouts()).await.len(), MOST_LOGOUTS);
        let everybody = [all(Cause::LoggedOut)];
        let more = [
            logout(MOST_LOGOUTS),
            all(Cause::Asked),
            logout(0),
            refusal(0),
        ];
        assert_eq!(sent(logouts().chain(more)).await, everybody);
    }
}
