//! Logouts, and the end of it all.

use std::sync::Arc;
use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_testbed::fault::{FaultServer, Request, Wire};
use mcp_toolkit::auth::testing::{ScriptedStore, StoreCall};
use mcp_toolkit::auth::{
    MaybeReady, MemoryStore, PerPrincipal, Principal, RefreshingToken, SharedStore, StoreError,
    StoreErrorKind, Token, TokenContext, TokenKey,
};
use mcp_toolkit::core::ErrorKind;
use mcp_toolkit::{McpToolkit, load_mcp_tools_http};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::{LONG, embedded, is, say, who};

/// A server, and its users' tokens in a store.
fn keeping(server: &EmbeddedServer, store: &SharedStore) -> McpToolkit {
    let (issuer, store) = (server.tokens(), Arc::clone(store));
    let provider = PerPrincipal::new(move |server, principal: &Principal| {
        let (issuer, user) = (issuer.clone(), principal.user().to_owned());
        let token = RefreshingToken::new(move |_: TokenContext| {
            let issued = issuer.issue(&user);
            async move { Ok(Token::new(issued.access).expires_in(issued.expires_in)) }
        });
        Ok(token.store(Arc::clone(&store), TokenKey::new(server, principal)))
    });
    let notes = load_mcp_tools_http(server.url()).header("X-Tenant-Id", "acme");
    let toolkit = McpToolkit::builder().server("notes", notes);
    toolkit.credentials("notes", provider).build().unwrap()
}

#[tokio::test]
async fn a_logout_leaves_nothing() {
    let server = EmbeddedServer::start_with_sessions(LONG).await.unwrap();
    let store: SharedStore = Arc::new(MemoryStore::new());
    let toolkit = keeping(&server, &store);
    let (alice, bob) = (who("alice"), who("bob"));
    let old = toolkit.tools_for(&alice).await;
    let bobs = toolkit.tools_for(&bob).await;
    let id = &toolkit.servers()[0];
    let stored = |principal: &Principal| {
        let (store, key) = (Arc::clone(&store), TokenKey::new(id, principal));
        async move { store.load(&key).await.unwrap() }
    };
    assert!(stored(&alice).await.is_some());

    toolkit.logout(&alice, "notes").await.unwrap();
    assert!(stored(&alice).await.is_none());
    assert!(stored(&bob).await.is_some());
    assert_eq!(server.tokens().issued("alice"), 1);
    let seen = server.seen();
    let ended: Vec<_> = seen.iter().filter(|it| it.method == "DELETE").collect();
    assert_eq!(ended.len(), 1);
    let carried = ended[0].headers.get("authorization").unwrap();
    assert_eq!(carried, "Bearer test-token-alice-1");
    server.tokens().revoke("alice");

    // What she still holds is asked for a token anew; his is his.
    assert_eq!(say(old.tools(), "whoami").await.unwrap(), "alice of acme");
    assert_eq!(server.tokens().issued("alice"), 2);
    assert_eq!(say(bobs.tools(), "whoami").await.unwrap(), "bob of acme");
    assert_eq!(server.tokens().issued("bob"), 1);

    let lists = |server: &EmbeddedServer| {
        let seen = server.seen();
        seen.iter().filter(|it| it.method == "tools/list").count()
    };
    let before = lists(&server);
    toolkit.tools_for(&bob).await;
    assert_eq!(lists(&server), before);
    toolkit.tools_for(&alice).await;
    assert_eq!(lists(&server), before + 1);

    let unknown = toolkit.logout(&alice, "mail").await.unwrap_err();
    assert_eq!(unknown.errors()[0].kind(), ErrorKind::UnknownServer);
}

/// A store that cannot delete.
fn stubborn() -> SharedStore {
    let store = ScriptedStore::new(|call| {
        MaybeReady::ready(match call {
            StoreCall::Delete(_) => {
                let message = "the disk is read-only";
                Err(StoreError::new(StoreErrorKind::Unavailable, message))
            }
            _ => Ok(()),
        })
    });
    Arc::new(store)
}

#[tokio::test]
async fn a_logout_that_fails_in_part_does_the_rest_and_says_so() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let toolkit = keeping(&server, &stubborn());
    let alice = who("alice");
    toolkit.tools_for(&alice).await;
    let loads = toolkit.cache().stats().loads;
    let error = toolkit.logout(&alice, "notes").await.unwrap_err();
    assert_eq!(error.errors().len(), 1);
    toolkit.tools_for(&alice).await;
    assert_eq!(toolkit.cache().stats().loads, loads + 1);
}

#[tokio::test]
async fn a_load_under_way_at_a_logout_is_not_kept() {
    let (asked, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (told, may) = (Arc::clone(&asked), Arc::clone(&go));
    let server = FaultServer::start(move |request: Request, mut wire: Wire| {
        let (told, may) = (Arc::clone(&told), Arc::clone(&may));
        async move {
            if request.rpc_method() == "tools/list" {
                told.add_permits(1);
                may.acquire().await.unwrap().forget();
            }
            wire.modern(&request).await.then_some(wire)
        }
    })
    .await;
    let toolkit = McpToolkit::builder()
        .server("s", load_mcp_tools_http(server.url()))
        .build()
        .unwrap();
    let alice = who("alice");
    let loading = tokio::spawn({
        let (toolkit, alice) = (toolkit.clone(), alice.clone());
        async move { toolkit.tools_for(&alice).await }
    });
    asked.acquire().await.unwrap().forget();
    toolkit.logout(&alice, "s").await.unwrap();
    go.add_permits(2);
    is(&loading.await.unwrap(), &[("s", "1 tools")]);
    toolkit.tools_for(&alice).await;
    assert_eq!(server.count("tools/list"), 2);
}

#[tokio::test]
async fn a_shutdown_lets_calls_finish_ends_sessions_and_refuses_what_comes_later() {
    let server = EmbeddedServer::start_with_sessions(LONG).await.unwrap();
    let toolkit = McpToolkit::builder()
        .server("notes", embedded(&server))
        .build()
        .unwrap();
    let (alice, bob) = (who("alice"), who("bob"));
    let hers = toolkit.tools_for(&alice).await;
    toolkit.tools_for(&bob).await;
    let slow = hers.tools().get("slow").unwrap();
    let calling = tokio::spawn(async move { slow.call(json!({"milliseconds": 300})).await });
    // On this one thread the task gets as far as it can: the call has begun.
    tokio::task::yield_now().await;
    toolkit.shutdown(Duration::from_secs(10)).await;
    assert_eq!(calling.await.unwrap().unwrap().text(), "at last");
    let seen = server.seen();
    let ended = seen.iter().filter(|it| it.method == "DELETE").count();
    assert_eq!(ended, 2);
    let error = say(hers.tools(), "whoami").await.unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
    is(&toolkit.tools_for(&alice).await, &[("notes", "config")]);
}
