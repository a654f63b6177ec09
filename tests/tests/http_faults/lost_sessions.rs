//! E: sessions and streams that are lost, and calls that nobody waits for any longer.

use mcp_core::auth::Bearer;
use mcp_core::{CallContext, ErrorKind, Principal, ToolServer};
use mcp_testbed::fault::FaultServer;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::{call, context, legacy, modern, small};

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
