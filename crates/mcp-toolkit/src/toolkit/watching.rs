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
        if said.cause != Cause::LoggedOut {
            continue;
        }
        let (who, at) = match said.scope {
            Scope::PrincipalAt { who, server } => (Some(who), Some(server)),
            Scope::Principal { who } => (Some(who), None),
            Scope::Server { server } => (None, Some(server)),
            // So many that they were not told one by one: it can be anybody.
            _ => (None, None),
        };
        let whom = |principal: &Principal| who.as_ref().is_none_or(|who| who.names(principal));
        for member in members.iter().filter_map(Weak::upgrade) {
            if at.as_ref().is_none_or(|at| at == member.id()) {
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

#[cfg(all(test, feature = "http"))]
mod tests {
    use std::sync::{Arc, Mutex};

    use mcp_auth::{
        CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Principal,
        ServerId,
    };
    use mcp_core::replicas::{Cause, Invalidation, InvalidationBus as _, LocalBus, Origin};

    use crate::{McpToolkit, load_mcp_tools_http};

    /// Notes which of two users it was told of, and where.
    #[derive(Debug, Default)]
    struct Told(Arc<Mutex<Vec<String>>>);

    impl CredentialProvider for Told {
        fn credentials<'a>(
            &'a self,
            _: CredentialRequest<'a>,
        ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
            MaybeReady::ready(Ok(Credentials::anonymous()))
        }

        #[expect(clippy::unwrap_used, reason = "a test's panic is its report")]
        fn logged_out_elsewhere(&self, server: &ServerId, whom: &dyn Fn(&Principal) -> bool) {
            for user in ["alice", "bob"] {
                if whom(&Principal::new(user).unwrap()) {
                    self.0.lock().unwrap().push(format!("{user} {server}"));
                }
            }
        }
    }

    #[tokio::test]
    async fn a_logout_reaches_whoever_it_may_concern() {
        let (bus, told) = (LocalBus::new(), Told::default());
        let seen = Arc::clone(&told.0);
        let told: Arc<dyn CredentialProvider> = Arc::new(told);
        let mut toolkit = McpToolkit::builder().bus(Arc::new(bus.clone()));
        for name in ["mail", "notes"] {
            let loader = load_mcp_tools_http("http://localhost:1/mcp");
            toolkit = toolkit.server(name, loader.credentials(Arc::clone(&told)));
        }
        let _toolkit = toolkit.build().unwrap();
        let (alice, notes) = (
            Principal::new("alice").unwrap(),
            ServerId::new("notes").unwrap(),
        );
        for (said, heard) in [
            (
                Invalidation::of_principal(&alice, Some(&notes), Cause::LoggedOut),
                &["alice notes"][..],
            ),
            (
                Invalidation::of_principal(&alice, None, Cause::LoggedOut),
                &["alice mail", "alice notes"],
            ),
            (Invalidation::of_everything(Cause::Asked), &[]),
            (
                Invalidation::of_server(&notes, Cause::LoggedOut),
                &["alice notes", "bob notes"],
            ),
            // What becomes of too many.
            (
                Invalidation::of_everything(Cause::LoggedOut),
                &["alice mail", "bob mail", "alice notes", "bob notes"],
            ),
        ] {
            bus.publish(Origin::new(), said.clone());
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            assert_eq!(
                std::mem::take(&mut *seen.lock().unwrap()),
                heard,
                "{said:?}"
            );
        }
    }
}
