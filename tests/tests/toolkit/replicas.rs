//! Two toolkits as two replicas have them: what one learns, the other acts on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use mcp_testbed::embedded::EmbeddedServer;
use mcp_toolkit::auth::time::{Clock as _, SystemClock};
use mcp_toolkit::auth::{
    AuthorizationRequired, CredentialError, CredentialProvider, CredentialRequest, Credentials,
    MaybeReady, MemoryStore, PerPrincipal, Principal, RefreshingToken, Save, ServerId, SharedStore,
    Token, TokenContext, TokenKey, from_fn,
};
use mcp_toolkit::cache::ToolCache;
use mcp_toolkit::core::ErrorKind;
use mcp_toolkit::core::replicas::{BusEvent, Cause, InvalidationBus, LocalBus, Origin, Scope};
use mcp_toolkit::{HttpLoader, McpToolkit, load_mcp_tools_http};

use crate::{LONG, announcing, embedded, is, say, who};

fn replica(bus: &LocalBus, name: &str, server: HttpLoader) -> McpToolkit {
    let toolkit = McpToolkit::builder().bus(Arc::new(bus.clone()));
    toolkit.server(name, server).build().unwrap()
}

/// The next thing that somebody says, and why.
async fn said(heard: &mut mcp_toolkit::core::replicas::Subscription) -> (Scope, Cause) {
    loop {
        if let Some(BusEvent::Invalidated(said)) = heard.next().await {
            return (said.scope, said.cause);
        }
    }
}

/// Waits until a replica has heard so much.
async fn heard(toolkit: &McpToolkit, count: u64) {
    while toolkit.cache().stats().heard < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_logout_and_a_refusal_are_heard_elsewhere() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let bus = LocalBus::new();
    let token = server.tokens().issue("alice").access;
    let notes = || {
        let loader = load_mcp_tools_http(server.url()).bearer(token.clone());
        loader.header("X-Tenant-Id", "acme")
    };
    let (one, other) = (
        replica(&bus, "notes", notes()),
        replica(&bus, "notes", notes()),
    );
    let mut listening = bus.subscribe(Origin::new());
    let (alice, bob) = (who("alice"), who("bob"));
    let loads = |toolkit: &McpToolkit| toolkit.cache().stats().loads;
    for user in [&alice, &bob] {
        one.tools_for(user).await;
        other.tools_for(user).await;
    }
    one.logout(&alice, "notes").await.unwrap();
    let (scope, cause) = said(&mut listening).await;
    assert!(matches!(scope, Scope::PrincipalAt { who, .. } if who.names(&alice)));
    assert_eq!(cause, Cause::LoggedOut);
    heard(&other, 1).await;
    other.tools_for(&bob).await;
    assert_eq!(loads(&other), 2);
    let hers = other.tools_for(&alice).await;
    assert_eq!(loads(&other), 3);
    // A call that is refused at the other.
    one.tools_for(&alice).await;
    let before = loads(&one);
    server.tokens().revoke("alice");
    let refused = say(hers.tools(), "whoami").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unauthorized);
    heard(&one, 1).await;
    is(&one.tools_for(&alice).await, &[("notes", "unauthorized")]);
    assert_eq!(loads(&one), before + 1);
    // So was that list: all hear of it, and bob's are where they were.
    heard(&other, 2).await;
    is(&other.tools_for(&bob).await, &[("notes", "4 tools")]);
}

/// Tokens that a login put into the store; nobody else gives any.
pub(crate) fn logged_in(store: &SharedStore) -> PerPrincipal {
    let store = Arc::clone(store);
    PerPrincipal::new(move |server, principal| {
        let login = |_: TokenContext| async {
            let how = AuthorizationRequired::new();
            Err(CredentialError::needs_authorization(how))
        };
        let key = TokenKey::new(server.clone(), principal.clone());
        Ok(RefreshingToken::new(login).store(Arc::clone(&store), key))
    })
}

#[tokio::test]
async fn who_logs_out_is_logged_out_everywhere() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let store: SharedStore = Arc::new(MemoryStore::new());
    let bus = LocalBus::new();
    let (alice, bob) = (who("alice"), who("bob"));
    for user in [&alice, &bob] {
        let key = TokenKey::new(ServerId::new("notes").unwrap(), user);
        let issued = server.tokens().issue(user.user());
        let token = Token::new(issued.access).expires_in(LONG);
        let save = Save::new(&token, SystemClock.wall());
        store.save(&key, save).await.unwrap();
    }
    let notes = || {
        let loader = load_mcp_tools_http(server.url()).credentials(logged_in(&store));
        loader.header("X-Tenant-Id", "acme")
    };
    let (one, other) = (
        replica(&bus, "notes", notes()),
        replica(&bus, "notes", notes()),
    );
    let has = [("notes", "4 tools")];
    for toolkit in [&one, &other] {
        is(&toolkit.tools_for(&alice).await, &has);
        is(&toolkit.tools_for(&bob).await, &has);
    }
    one.logout(&alice, "notes").await.unwrap();
    heard(&other, 1).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let needs = [("notes", "needs authorization")];
    is(&other.tools_for(&alice).await, &needs);
    is(&one.tools_for(&alice).await, &needs);
    is(&other.tools_for(&bob).await, &has);
}

/// Panics over any news of a logout, once it is noted who it was.
#[derive(Debug)]
struct Deaf(Arc<Mutex<Vec<&'static str>>>);

impl CredentialProvider for Deaf {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        MaybeReady::ready(Ok(Credentials::bearer("test-token-alice").unwrap()))
    }

    fn logged_out_elsewhere(&self, _: &ServerId, whom: &dyn Fn(&Principal) -> bool) {
        let users = ["alice", "bob"].into_iter();
        let out = users.filter(|user| whom(&who(user)));
        self.0.lock().unwrap().extend(out);
        #[expect(clippy::panic, reason = "a provider that has a fault")]
        {
            panic!("no place for it");
        }
    }
}

#[tokio::test]
async fn a4_a_provider_that_panics_over_a_logout_hears_of_the_next() {
    let server = announcing().await;
    let bus = LocalBus::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let loader = || load_mcp_tools_http(server.url());
    let one = replica(&bus, "notes", loader());
    let deaf = Deaf(Arc::clone(&heard));
    let _other = replica(&bus, "notes", loader().credentials(deaf));
    for user in ["alice", "bob"] {
        one.logout(&who(user), "notes").await.unwrap();
        while !heard.lock().unwrap().contains(&user) {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn who_has_to_authorize_again_is_told_once() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let bus = LocalBus::new();
    let ended = Arc::new(AtomicBool::new(false));
    let token = server.tokens().issue("alice").access;
    let provider = {
        let ended = Arc::clone(&ended);
        from_fn(move |_: CredentialRequest<'_>| {
            if ended.load(Ordering::SeqCst) {
                let how = AuthorizationRequired::new();
                return Err(CredentialError::needs_authorization(how));
            }
            Ok(Credentials::bearer(token.clone())?)
        })
    };
    let loader = load_mcp_tools_http(server.url()).credentials(provider);
    let one = replica(&bus, "notes", loader.header("X-Tenant-Id", "acme"));
    let mut listening = bus.subscribe(Origin::new());
    let alice = who("alice");
    is(&one.tools_for(&alice).await, &[("notes", "4 tools")]);
    ended.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let needs = [("notes", "needs authorization")];
        is(&one.tools_for(&alice).await, &needs);
    }
    let (scope, cause) = said(&mut listening).await;
    assert!(matches!(scope, Scope::PrincipalAt { who, .. } if who.names(&alice)));
    assert_eq!(cause, Cause::Refused);
    assert_eq!(listening.next_now(), None);
}

#[tokio::test]
async fn a_notice_is_told_though_nobody_asks_here() {
    let server = announcing().await;
    let bus = LocalBus::new();
    let loader = || load_mcp_tools_http(server.url());
    let (one, other) = (replica(&bus, "s", loader()), replica(&bus, "s", loader()));
    let mut listening = bus.subscribe(Origin::new());
    let alice = who("alice");
    let tools = one.tools_for(&alice).await;
    other.tools_for(&alice).await;
    assert_eq!(server.count("tools/list"), 2);
    for notice in 1..=2 {
        say(tools.tools(), "echo").await.unwrap();
        let (scope, cause) = said(&mut listening).await;
        assert!(matches!(scope, Scope::Server { server } if server.as_str() == "s"));
        assert_eq!(cause, Cause::ToolsChanged);
        heard(&other, notice).await;
    }
    other.tools_for(&alice).await;
    assert_eq!(server.count("tools/list"), 3);
    drop((one, tools));
}

#[tokio::test]
async fn a_replica_that_ends_takes_nothing_from_the_others() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let bus = LocalBus::new();
    let (one, other) = (
        replica(&bus, "notes", embedded(&server)),
        replica(&bus, "notes", embedded(&server)),
    );
    let mut listening = bus.subscribe(Origin::new());
    let alice = who("alice");
    for toolkit in [&one, &other] {
        toolkit.tools_for(&alice).await;
    }
    one.shutdown(LONG).await;
    while let Some(event) = listening.next_now() {
        assert_eq!(event, BusEvent::Back);
    }
    other.tools_for(&alice).await;
    assert_eq!(other.cache().stats().loads, 1);
}

#[tokio::test]
async fn a_cache_has_its_own_bus() {
    let both = McpToolkit::builder()
        .cache(&ToolCache::new())
        .bus(Arc::new(LocalBus::new()))
        .build();
    assert_eq!(both.unwrap_err().kind(), ErrorKind::Config);
}
