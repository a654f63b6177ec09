//! Telling other replicas at once that a server's tools changed, and hearing of their logouts.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mcp_auth::Principal;
use mcp_core::ToolServer as _;
use mcp_core::replicas::{BusEvent, Cause, Scope, Subscription};
use mcp_tool_cache::ToolCache;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::member::Member;

/// Owns the tasks that wait for notices, one for each server that may send some, and the one that
/// waits for logouts; they end with this.
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
        let mut all = Vec::new();
        for member in members {
            all.push(Arc::downgrade(member));
            if let Some(heard) = member.changes().heard() {
                let work = follow(Arc::downgrade(member), Arc::downgrade(cache), heard);
                tasks.spawn_on(work, &runtime);
            }
        }
        if let Some(subscription) = cache.subscribe() {
            tasks.spawn_on(forget_tokens(all, subscription), &runtime);
        }
    }
}

/// Has providers give up what they hold of somebody who logged out elsewhere: without that a token
/// would go on being used here for as long as it lasts. So it is where a logout was missed.
async fn forget_tokens(members: Vec<Weak<Member>>, mut subscription: Subscription) {
    while let Some(event) = subscription.next().await {
        let BusEvent::Invalidated(said) = event else {
            continue;
        };
        let (who, at) = match (said.cause, said.scope) {
            (Cause::LoggedOut, Scope::PrincipalAt { who, server }) => (who, Some(server)),
            (Cause::LoggedOut, Scope::Principal { who }) => (who, None),
            _ => continue,
        };
        for member in members.iter().filter_map(Weak::upgrade) {
            if at.as_ref().is_none_or(|at| at == member.id()) {
                let whom = |principal: &Principal| who.names(principal);
                member.provider().logged_out_elsewhere(member.id(), &whom);
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
