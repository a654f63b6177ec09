//! E: sessions that end, credentials that are refused, providers that fail, calls that are dropped.

use mcp_core::auth::{
    Bearer, CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady,
};
use mcp_core::{CallContext, ErrorKind, Failure, Principal, ToolServer};
use mcp_http::HttpServer;
use mcp_testbed::fault::FaultServer;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::{
    Eager, call, call_answered, call_within, chain, context, legacy, modern, small,
};

#[tokio::test]
async fn e13_one_caller_opens_the_next_session() {
    let opened = Arc::new(AtomicUsize::new(0));
    let server = FaultServer::start(move |request, mut wire| {
        let opened = Arc::clone(&opened);
        async move {
            let current = |count: usize| format!("s-{count}");
            let sent = match request.rpc_method().as_str() {
                "initialize" => {
                    let session = current(opened.fetch_add(1, Ordering::SeqCst) + 1);
                    // Slow enough that everybody else notices the loss meanwhile.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    wire.session(&request, &session).await
                }
                "tools/call" if request.header("mcp-session-id") == Some("s-1") => {
                    wire.respond(404, &[], "").await
                }
                _ => wire.session(&request, "").await,
            };
            sent.then_some(wire)
        }
    })
    .await;
    let client = legacy(&server).build().unwrap();
    client.list_tools(&context("alice")).await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = client.clone();
        calls.spawn(async move { call(&client).await.unwrap().text() });
    }
    assert!(calls.join_all().await.iter().all(|text| text == "done"));
    assert_eq!(server.count("initialize"), 2);
}

#[tokio::test]
async fn e13_a_session_that_is_always_lost_is_an_error() {
    let server = FaultServer::start(|request, mut wire| async move {
        if request.rpc_method() != "tools/call" {
            return wire.session(&request, "s-1").await.then_some(wire);
        }
        let body = json!({"jsonrpc": "2.0", "error":
            {"code": -32000, "message": "Bad Request: No valid session ID provided"}});
        let headers = [("Content-Type", "application/json")];
        wire.respond(400, &headers, &body.to_string())
            .await
            .then_some(wire)
    })
    .await;
    let client = legacy(&server).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionLost);
    assert_eq!(server.count("tools/call"), 2);
    assert_eq!(server.count("initialize"), 2);
}

#[tokio::test]
async fn a_server_that_asks_to_be_left_alone_is_heard() {
    let server = FaultServer::start(|request, mut wire| async move {
        if request.rpc_method() != "tools/call" {
            return wire.modern(&request).await.then_some(wire);
        }
        let headers = [("Retry-After", "7")];
        wire.respond(429, &headers, "").await.then_some(wire)
    })
    .await;
    let client = modern(&server).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HttpStatus);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(server.count("tools/call"), 1);
}

#[tokio::test]
async fn a_broken_stream_is_resumed_where_it_broke() {
    let server = FaultServer::start(|request, mut wire| async move {
        let answer = |id: Value| {
            json!({"jsonrpc": "2.0", "id": id,
                "result": {"content": [{"type": "text", "text": "resumed"}]}})
        };
        match (request.method.as_str(), request.rpc_method().as_str()) {
            ("GET", _) => {
                assert_eq!(request.header("last-event-id"), Some("e-1"));
                assert_eq!(request.header("mcp-session-id"), Some("s-1"));
                assert_eq!(
                    request.header("authorization"),
                    Some("Bearer test-token-alice")
                );
                wire.events("").await;
                wire.event(&answer(json!(3)).to_string()).await;
                None
            }
            (_, "tools/call") => {
                assert_eq!(request.id(), 3);
                wire.events("").await;
                wire.raw("id: e-1\nretry: 20\ndata:\n\n").await;
                None
            }
            _ => wire.session(&request, "s-1").await.then_some(wire),
        }
    })
    .await;
    let client = legacy(&server)
        .credentials(Arc::new(Bearer::new("test-token-alice").unwrap()))
        .build()
        .unwrap();
    client.list_tools(&context("alice")).await.unwrap();
    assert_eq!(call(&client).await.unwrap().text(), "resumed");
    assert_eq!(server.count("tools/call"), 1);
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_at_the_server() {
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let server = FaultServer::start(move |request, mut wire| {
        let told = told.clone();
        async move {
            match request.rpc_method().as_str() {
                "tools/call" => {
                    told.send(json!("called")).unwrap();
                    wire.closed().await;
                    told.send(json!("closed")).unwrap();
                    None
                }
                "notifications/cancelled" => {
                    told.send(request.json()["params"]["requestId"].clone())
                        .unwrap();
                    wire.respond(202, &[], "").await.then_some(wire)
                }
                _ => wire.session(&request, "s-1").await.then_some(wire),
            }
        }
    })
    .await;
    let client = legacy(&server).build().unwrap();
    let caller = client.clone();
    let calling = tokio::spawn(async move { call(&caller).await.map(drop) });
    assert_eq!(hears.recv().await, Some(json!("called")));
    let id = server.seen().last().unwrap().id();
    calling.abort();
    let mut said = [hears.recv().await.unwrap(), hears.recv().await.unwrap()];
    said.sort_by_key(Value::is_string);
    assert_eq!(said, [id, json!("closed")]);
}

#[tokio::test]
async fn e15_ending_a_session_takes_no_longer_than_its_limit() {
    let server = FaultServer::start(|request, mut wire| async move {
        if request.method == "DELETE" {
            wire.closed().await;
            return None;
        }
        wire.session(&request, "s-1").await.then_some(wire)
    })
    .await;
    let mut limits = small();
    limits.close_timeout = Duration::from_millis(100);
    let client = legacy(&server).limits(limits).build().unwrap();
    call(&client).await.unwrap();
    let closing = client
        .close(&CallContext::new(Principal::new("alice").unwrap()))
        .await;
    let () = closing;
    let seen = server.seen();
    let delete = seen.last().unwrap();
    assert_eq!(delete.method, "DELETE");
    assert_eq!(delete.header("mcp-session-id"), Some("s-1"));
    assert_eq!(delete.header("mcp-protocol-version"), Some("2025-11-25"));
}

#[tokio::test]
async fn e10_e14_a_server_that_always_refuses_is_asked_a_bounded_number_of_times() {
    let scope = r#"Bearer error="insufficient_scope", scope="read write""#;
    for (status, challenge, kind, sent) in [
        (401, "Bearer", ErrorKind::Unauthorized, 2),
        (403, scope, ErrorKind::InsufficientScope, 2),
    ] {
        let server = FaultServer::start(move |_, mut wire| async move {
            let headers = [("WWW-Authenticate", challenge)];
            wire.respond(status, &headers, "").await.then_some(wire)
        })
        .await;
        let provider = Arc::new(Eager::default());
        let client = modern(&server)
            .credentials(Arc::clone(&provider) as _)
            .build()
            .unwrap();
        let context = context("alice");
        let error = call_within(&client, &context).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(server.seen().len(), sent);
        assert_eq!(provider.rejected.load(Ordering::Relaxed), 1);
        assert_eq!(context.report().attempts, 2);
        assert_eq!(error.tool(), Some("echo"));
        if let Failure::InsufficientScope { scopes, .. } = error.failure() {
            assert_eq!(scopes, &["read", "write"]);
        }
    }

    // A stale token, then one that lacks a scope: three tries in all.
    let tries = Arc::new(AtomicUsize::new(0));
    let server = FaultServer::start(move |_, mut wire| {
        let first = tries.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            let status = if first { 401 } else { 403 };
            wire.respond(status, &[("WWW-Authenticate", scope)], "")
                .await
                .then_some(wire)
        }
    })
    .await;
    let client = modern(&server)
        .credentials(Arc::new(Eager::default()))
        .build()
        .unwrap();
    assert_eq!(
        call(&client).await.unwrap_err().kind(),
        ErrorKind::InsufficientScope
    );
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_403_without_a_challenge_says_what_the_server_said() {
    let error = call_answered(|_, mut wire| async move {
        wire.respond(403, &[], "use localhost")
            .await
            .then_some(wire)
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.to_string().contains("use localhost"), "{error}");
}

/// Never has anything.
#[derive(Debug)]
struct Hanging;

impl CredentialProvider for Hanging {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        if request.principal.user() == "bob" {
            return MaybeReady::ready(Ok(Credentials::anonymous()));
        }
        MaybeReady::new(std::future::pending())
    }
}

#[tokio::test]
async fn e11_a_provider_that_hangs_stops_nobody_else() {
    let server = FaultServer::start(|request, mut wire| async move {
        wire.modern(&request).await.then_some(wire)
    })
    .await;
    let client = HttpServer::builder(server.url())
        .credentials(Arc::new(Hanging))
        .build()
        .unwrap();
    let hanging = client.clone();
    let alice = tokio::spawn(async move {
        let context =
            CallContext::new(Principal::new("alice").unwrap()).with_timeout(Duration::from_secs(3));
        call_within(&hanging, &context).await.map(drop)
    });
    tokio::task::yield_now().await;
    assert_eq!(
        call_within(&client, &context("bob")).await.unwrap().text(),
        "done"
    );
    let error = alice.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("credentials"), "{error}");
}

/// Panics with what it knows, at once or later.
#[derive(Debug)]
struct Panicking {
    later: bool,
}

impl CredentialProvider for Panicking {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        assert!(self.later, "test-token-canary");
        MaybeReady::new(async {
            assert_eq!("test-token-canary", "");
            Ok(Credentials::anonymous())
        })
    }
}

#[tokio::test]
async fn e11_a_provider_that_panics_is_an_error() {
    let server = FaultServer::start(|_, _| async { None }).await;
    for later in [false, true] {
        let client = modern(&server)
            .credentials(Arc::new(Panicking { later }))
            .build()
            .unwrap();
        let error = call(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
        assert!(!chain(&error).contains("canary"));
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_dropped_call_of_the_new_dialect_closes_its_stream() {
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let server = FaultServer::start(move |request, mut wire| {
        let told = told.clone();
        async move {
            told.send(request.rpc_method()).unwrap();
            wire.events("").await;
            wire.closed().await;
            told.send("closed".to_owned()).unwrap();
            None
        }
    })
    .await;
    let client = modern(&server).build().unwrap();
    let calling = tokio::spawn(async move { call(&client).await.map(drop) });
    assert_eq!(hears.recv().await.unwrap(), "tools/call");
    calling.abort();
    assert_eq!(hears.recv().await.unwrap(), "closed");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_call_that_is_answered_with_a_bare_status_is_not_repeated() {
    for status in [400, 404, 405] {
        // `call_answered` counts the calls.
        let error = call_answered(move |request, mut wire| async move {
            if request.rpc_method() == "tools/call" {
                return wire
                    .respond(status, &[], "no such customer")
                    .await
                    .then_some(wire);
            }
            wire.modern(&request).await.then_some(wire)
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::HttpStatus);
        assert!(error.to_string().contains("no such customer"), "{error}");
    }
    // Where the dialect is looked for, too.
    let server = FaultServer::start(|request, mut wire| async move {
        if request.rpc_method() == "tools/call" {
            return wire.respond(400, &[], "").await.then_some(wire);
        }
        wire.modern(&request).await.then_some(wire)
    })
    .await;
    let client = HttpServer::builder(server.url()).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HttpStatus);
    assert_eq!(server.count("tools/call"), 1);
}

#[tokio::test]
async fn a_call_that_nobody_was_there_for_does_not_count_as_sent() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", nobody.local_addr().unwrap());
    drop(nobody);
    let client = HttpServer::builder(url)
        .protocol(Some(mcp_core::ProtocolVersion::V2026_07_28))
        .credentials(Arc::new(Bearer::new("test-token-alice").unwrap()))
        .build()
        .unwrap();
    let context = context("alice");
    let error = call_within(&client, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(context.report(), mcp_core::CallReport::default());
}

/// Learns nothing.
#[derive(Debug)]
struct Forgetful;

impl CredentialProvider for Forgetful {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        MaybeReady::ready(Ok(Credentials::anonymous()))
    }

    fn nonce(&self, _: CredentialRequest<'_>, _: &http::HeaderValue) {
        panic!("no place for it");
    }
}

#[tokio::test]
async fn e11_a_provider_that_panics_over_a_nonce_costs_no_answer() {
    let server = FaultServer::start(|request, mut wire| async move {
        let result = json!({"resultType": "complete", "content": []});
        let headers = [("Content-Type", "application/json"), ("DPoP-Nonce", "n-1")];
        wire.respond(200, &headers, &request.result(&result))
            .await
            .then_some(wire)
    })
    .await;
    let client = modern(&server)
        .credentials(Arc::new(Forgetful))
        .build()
        .unwrap();
    assert!(!call(&client).await.unwrap().is_error());
}
