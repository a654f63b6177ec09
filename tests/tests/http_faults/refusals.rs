//! E: servers that refuse, and how often they are asked.

use mcp_core::auth::Bearer;
use mcp_core::{ErrorKind, Failure};
use mcp_http::HttpServer;
use mcp_testbed::ClosedPort;
use mcp_testbed::fault::FaultServer;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::{Eager, call, call_answered, call_within, context, modern};

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
    let nobody = ClosedPort::new();
    let client = HttpServer::builder(nobody.url())
        .protocol(Some(mcp_core::ProtocolVersion::V2026_07_28))
        .credentials(Arc::new(Bearer::new("test-token-alice").unwrap()))
        .build()
        .unwrap();
    let context = context("alice");
    let error = call_within(&client, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(context.report(), mcp_core::CallReport::default());
}

#[tokio::test]
async fn a_capability_that_is_missing_is_named() {
    let error = call_answered(|request, mut wire| async move {
        let error = json!({"code": -32021, "message": "not without you",
            "data": {"requiredCapabilities": {"elicitation": {"url": {}}, "sampling": {}}}});
        let body = json!({"jsonrpc": "2.0", "id": request.id(), "error": error}).to_string();
        wire.json_with(400, &body).await.then_some(wire)
    })
    .await;
    let said = error.to_string();
    assert!(said.contains("not without you"), "{said}");
    assert!(said.contains("elicitation.url, sampling"), "{said}");
}
