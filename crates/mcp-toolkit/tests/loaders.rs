//! What a loader can be told in one word, seen at an embedded server.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_toolkit::auth::{Bearer, CredentialError, Token};
use mcp_toolkit::cache::ToolCache;
use mcp_toolkit::{ErrorKind, McpToolkit, Principal, load_mcp_tools_http};

const LONG: Duration = Duration::from_secs(3600);

async fn server() -> EmbeddedServer {
    EmbeddedServer::start(LONG).await.unwrap()
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_is_refused() {
    let server = server().await;
    let (issuer, fetches) = (server.tokens(), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&fetches);
    let fetch = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let token = issuer.issue("alice");
        async move { Ok::<_, CredentialError>(Token::new(token.access).expires_in(LONG)) }
    };
    let tools = load_mcp_tools_http(server.url())
        .bearer_from(fetch)
        .header("X-Tenant-Id", "acme")
        .await
        .unwrap();
    let whoami = tools.get("whoami").unwrap();
    assert_eq!(whoami.call(()).await.unwrap().text(), "alice of acme");
    assert_eq!(fetches.load(Ordering::Relaxed), 1);

    server.tokens().revoke("alice");
    assert_eq!(whoami.call(()).await.unwrap().text(), "alice of acme");
    assert_eq!(fetches.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn each_principal_has_a_token_of_its_own() {
    let server = server().await;
    let issuer = server.tokens();
    let loader = load_mcp_tools_http(server.url())
        .bearer_per_principal(move |user: Principal| {
            let token = issuer.issue(user.user());
            async move { Ok(Token::new(token.access).expires_in(LONG)) }
        })
        .header("X-Tenant-Id", "acme");
    let toolkit = McpToolkit::builder()
        .server("notes", loader)
        .build()
        .unwrap();
    for user in ["alice", "bob", "alice"] {
        let tools = toolkit.tools_for(&Principal::new(user).unwrap()).await;
        let whoami = tools.tools().get("whoami").unwrap();
        let said = whoami.call(()).await.unwrap().text();
        assert_eq!(said, format!("{user} of acme"));
    }
    let tokens = server.tokens();
    assert_eq!((tokens.issued("alice"), tokens.issued("bob")), (1, 1));
}

#[tokio::test]
async fn a_header_is_made_anew_for_every_request_and_tells_no_tools_apart() {
    let server = server().await;
    let token = server.tokens().issue("alice").access;
    let (cache, made) = (ToolCache::new(), Arc::new(AtomicU32::new(0)));
    let load = || {
        let made = Arc::clone(&made);
        load_mcp_tools_http(server.url())
            .bearer(token.clone())
            .header("X-Tenant-Id", "acme")
            .header_from("X-Trace-Id", move || {
                format!("trace-{}", made.fetch_add(1, Ordering::Relaxed))
            })
            .cache(&cache)
    };
    let tools = load().await.unwrap();
    tools.get("whoami").unwrap().call(()).await.unwrap();
    load().await.unwrap();
    assert_eq!(cache.stats().loads, 1);

    let seen = server.seen();
    let traces: HashSet<_> = seen
        .iter()
        .map(|request| request.headers["x-trace-id"].clone())
        .collect();
    assert_eq!(traces.len(), seen.len());
}

#[tokio::test]
async fn providers_add_up_and_do_not_overwrite_each_other() {
    let server = server().await;
    let token = server.tokens().issue("alice").access;
    let refused = load_mcp_tools_http(server.url())
        .credentials(Bearer::new(token.clone()).unwrap())
        .credentials(Bearer::new("test-token-of-somebody-else").unwrap())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(server.seen().is_empty());

    let tools = load_mcp_tools_http(server.url())
        .credentials(Bearer::new(token).unwrap())
        .credentials(mcp_toolkit::auth::Headers::new([("X-Tenant-Id", "acme")]).unwrap())
        .await
        .unwrap();
    let whoami = tools.get("whoami").unwrap();
    assert_eq!(whoami.call(()).await.unwrap().text(), "alice of acme");
}

#[tokio::test]
async fn only_what_was_approved_of_is_offered() {
    let server = server().await;
    let token = server.tokens().issue("alice").access;
    let load = || {
        load_mcp_tools_http(server.url())
            .named("notes")
            .bearer(token.clone())
            .header("X-Tenant-Id", "acme")
    };
    let seen = load().await.unwrap();
    let approved = Arc::new(seen.retain(|tool| tool.name() == "whoami").lock());
    let pinned = load().pinned(&approved).await.unwrap();
    let names: Vec<_> = pinned.iter().map(|tool| tool.name().to_owned()).collect();
    assert_eq!(names, ["whoami"]);
    assert_eq!(pinned.skipped().count(), seen.len() - 1);
}

#[cfg(unix)]
#[tokio::test]
async fn what_the_transport_can_do_is_reached_through_the_loader() {
    let (hear, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let ended = mcp_toolkit::load_mcp_tools_stdio("sh")
        .args(["-c", "echo 'the variable is missing' >&2; exit 3"])
        .principal("alice")
        .with_server(move |server| {
            server.on_stderr(move |user, line| {
                let _ = hear.send(format!("{user}: {line}"));
            })
        })
        .await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ServerExited);
    let line = tokio::time::timeout(Duration::from_secs(10), heard.recv()).await;
    assert_eq!(line.unwrap().unwrap(), "alice: the variable is missing");
}
