//! Logouts whose store takes its time: who is told when, and who need not wait.

use std::sync::Arc;
use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_toolkit::auth::testing::{ScriptedStore, StoreCall};
use mcp_toolkit::auth::time::{Clock as _, SystemClock};
use mcp_toolkit::auth::{MaybeReady, Save, ServerId, SharedStore, Token, TokenKey};
use mcp_toolkit::core::replicas::{BusEvent, Cause, InvalidationBus as _, LocalBus, Origin, Scope};
use mcp_toolkit::{McpToolkit, load_mcp_tools_http};
use tokio::sync::Semaphore;

use crate::replicas::logged_in;
use crate::{LONG, is, who};

/// A store that deletes only when it may, and tells that it was asked.
struct Slow {
    store: SharedStore,
    asked: Arc<Semaphore>,
    may: Arc<Semaphore>,
}

impl Slow {
    fn new() -> Self {
        let (asked, may) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (tells, waits) = (Arc::clone(&asked), Arc::clone(&may));
        let store = ScriptedStore::new(move |call| {
            if !matches!(call, StoreCall::Delete(_)) {
                return MaybeReady::ready(Ok(()));
            }
            tells.add_permits(1);
            let may = Arc::clone(&waits);
            MaybeReady::new(async move {
                may.acquire().await.unwrap().forget();
                Ok(())
            })
        });
        Self {
            store: Arc::new(store),
            asked,
            may,
        }
    }
}

/// A toolkit where Alice has logged in, and its store.
struct Setting {
    _server: EmbeddedServer,
    slow: Slow,
    toolkit: McpToolkit,
    key: TokenKey,
}

impl Setting {
    async fn new(bus: &LocalBus) -> Self {
        let server = EmbeddedServer::start(LONG).await.unwrap();
        let slow = Slow::new();
        let key = TokenKey::new(ServerId::new("notes").unwrap(), who("alice"));
        let token = Token::new(server.tokens().issue("alice").access).expires_in(LONG);
        let save = Save::new(&token, SystemClock.wall());
        slow.store.save(&key, save).await.unwrap();
        let loader = load_mcp_tools_http(server.url()).credentials(logged_in(&slow.store));
        let toolkit = McpToolkit::builder()
            .bus(Arc::new(bus.clone()))
            .server("notes", loader.header("X-Tenant-Id", "acme"))
            .build()
            .unwrap();
        is(
            &toolkit.tools_for(&who("alice")).await,
            &[("notes", "4 tools")],
        );
        Self {
            _server: server,
            slow,
            toolkit,
            key,
        }
    }

    /// Begins a logout, and goes away when the store has been asked.
    async fn begin_logout(&self) {
        let alice = who("alice");
        tokio::select! {
            out = self.toolkit.logout(&alice, "notes") => panic!("{out:?}"),
            asked = self.slow.asked.acquire() => asked.unwrap().forget(),
        }
    }

    async fn is_stored(&self) -> bool {
        self.slow.store.load(&self.key).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn others_are_told_once_and_when_the_token_is_gone_though_nobody_waits() {
    let bus = LocalBus::new();
    let setting = Setting::new(&bus).await;
    let mut listening = bus.subscribe(Origin::new());
    assert_eq!(listening.next().await, Some(BusEvent::Back));
    setting.begin_logout().await;
    // Whoever is told now would read the token once more.
    assert_eq!(listening.next_now(), None);
    setting.slow.may.add_permits(1);
    let BusEvent::Invalidated(said) = listening.next().await.unwrap() else {
        panic!("nobody was away");
    };
    assert!(!setting.is_stored().await);
    assert_eq!(said.cause, Cause::LoggedOut);
    let alice = who("alice");
    assert!(matches!(said.scope, Scope::PrincipalAt { who, .. } if who.names(&alice)));
    setting.toolkit.shutdown(LONG).await;
    assert_eq!(listening.next_now(), None);
}

#[tokio::test]
async fn a_shutdown_waits_for_a_logout() {
    let setting = Setting::new(&LocalBus::new()).await;
    setting.begin_logout().await;
    let shutdown = setting.toolkit.shutdown(Duration::from_secs(20));
    let go = async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        setting.slow.may.add_permits(1);
    };
    let ended = async {
        shutdown.await;
        assert!(!setting.is_stored().await);
    };
    tokio::join!(ended, go);
}
