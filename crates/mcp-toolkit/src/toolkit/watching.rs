//! Telling other replicas at once that a server's tools changed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mcp_tool_cache::ToolCache;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::member::Member;

/// Owns the tasks that wait for notices, one for each server that may send some; they end with this.
///
/// Without other replicas there are none: whoever asks for tools looks whether there was a notice.
/// The others have no look at it, and must not wait until somebody asks here.
#[derive(Default)]
pub(super) struct Watching(Mutex<JoinSet<()>>);

impl Watching {
    /// Begins to wait, if there are other replicas and a runtime, unless that is being done.
    pub(super) fn start<'a>(
        &self,
        cache: &Arc<ToolCache>,
        members: impl Iterator<Item = &'a Arc<Member>>,
    ) {
        if !cache.has_bus() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of a runtime that has ended.
        while tasks.try_join_next().is_some() {}
        if !tasks.is_empty() {
            return;
        }
        for member in members {
            if let Some(heard) = member.changes().heard() {
                let work = follow(Arc::downgrade(member), Arc::downgrade(cache), heard);
                tasks.spawn_on(work, &runtime);
            }
        }
    }
}

/// Acts on each notice, as soon as it is time to; ends with the server.
async fn follow(member: Weak<Member>, cache: Weak<ToolCache>, mut heard: watch::Receiver<u64>) {
    loop {
        let next = {
            let (Some(member), Some(cache)) = (member.upgrade(), cache.upgrade()) else {
                return;
            };
            member.act_on_changes(&cache).await;
            member.changes().due_at()
        };
        match next {
            Some(at) => sleep_until(at).await,
            None if heard.changed().await.is_ok() => {}
            None => return,
        }
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watching")
    }
}
