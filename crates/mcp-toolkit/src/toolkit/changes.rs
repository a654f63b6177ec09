//! What servers say unasked: that their tools have changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mcp_auth::time::Instant;
use mcp_core::ServerId;
use mcp_tool_cache::ToolCache;
use tokio::sync::{Mutex, watch};

/// How often one server's notices make everybody load anew. A server that sends more of them, or
/// one user who makes it do so, costs the others no more than this.
const EVERY: Duration = Duration::from_secs(1);

/// Looked at when somebody asks for tools. A task waits for notices only where other replicas want to
/// hear of them.
pub(super) struct Changes {
    heard: Option<watch::Receiver<u64>>,
    acted_on: AtomicU64,
    last: Mutex<Option<Instant>>,
}

impl Changes {
    pub(super) fn new(heard: Option<watch::Receiver<u64>>) -> Self {
        Self {
            heard,
            acted_on: AtomicU64::new(0),
            last: Mutex::new(None),
        }
    }

    /// Where notices are heard, if there may be any.
    pub(super) fn heard(&self) -> Option<watch::Receiver<u64>> {
        self.heard.clone()
    }

    /// When to act on what has been heard, if there is something.
    pub(super) fn due_at(&self) -> Option<Instant> {
        if self.count() == self.acted_on.load(Ordering::Acquire) {
            return None;
        }
        // Somebody is at it: it is looked at again when that is done for sure.
        let last = self.last.try_lock().map_or(None, |last| *last);
        let now = Instant::now();
        let next = last.unwrap_or(now).checked_add(EVERY).unwrap_or(now);
        Some(next.max(now))
    }

    fn count(&self) -> u64 {
        self.heard.as_ref().map_or(0, |heard| *heard.borrow())
    }

    /// Whether there is something to act on, and it is time to.
    pub(super) fn are_due(&self) -> bool {
        self.count() != self.acted_on.load(Ordering::Acquire)
            && self.last.try_lock().is_ok_and(|last| is_time(*last))
    }

    /// Forgets the server's tools if they have changed. Who comes meanwhile does not wait.
    pub(super) async fn act(&self, server: &ServerId, cache: &ToolCache) {
        let count = self.count();
        if count == self.acted_on.load(Ordering::Acquire) {
            return;
        }
        let Ok(mut last) = self.last.try_lock() else {
            return;
        };
        if !is_time(*last) {
            return;
        }
        cache.invalidate_server(server).await;
        // Only now: dropped half-way, the next one does it.
        self.acted_on.store(count, Ordering::Release);
        *last = Some(Instant::now());
    }
}

fn is_time(last: Option<Instant>) -> bool {
    last.is_none_or(|last| last.elapsed() >= EVERY)
}
