//! E: sessions and streams that are lost, and what goes on all the same.

use mcp_core::auth::Bearer;
use mcp_core::{ErrorKind, ToolServer};
use mcp_testbed::fault::FaultServer;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

use crate::harness::{call, context, legacy};

#[tokio::test]
async fn e13_one_caller_opens_the_next_session() {
    const CALLS: u32 = 20;
    let opened = Arc::new(AtomicUsize::new(0));
    let noticed = Arc::new(Semaphore::new(0));
    let server = FaultServer::start(move |request, mut wire| {
        let (opened, noticed) = (Arc::clone(&opened), Arc::clone(&noticed));
        async move {
            let sent = match request.rpc_method().as_str() {
                "initialize" => {
                    let number = opened.fetch_add(1, Ordering::SeqCst) + 1;
                    if number == 2 {
                        // Not before everybody has noticed the loss.
                        drop(noticed.acquire_many(CALLS).await.unwrap());
                    }
                    wire.session(&request, &format!("s-{number}")).await
                }
                "tools/call" if request.header("mcp-session-id") == Some("s-1") => {
                    noticed.add_permits(1);
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
    for _ in 0..CALLS {
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
        wire.json_with(400, &body.to_string()).await.then_some(wire)
    })
    .await;
    let client = legacy(&server).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionLost);
    assert_eq!(server.count("tools/call"), 2);
    assert_eq!(server.count("initialize"), 2);
}

#[tokio::test]
async fn a_list_whose_session_is_lost_between_pages_begins_anew() {
    let opened = Arc::new(AtomicUsize::new(0));
    let server = FaultServer::start(move |request, mut wire| {
        let opened = Arc::clone(&opened);
        async move {
            let cursor = request.json()["params"]["cursor"].clone();
            let session = request.header("mcp-session-id").map(str::to_owned);
            match request.rpc_method().as_str() {
                "initialize" => {
                    let id = format!("s-{}", opened.fetch_add(1, Ordering::SeqCst));
                    wire.session(&request, &id).await
                }
                "tools/list" if cursor == "s-0" && session.as_deref() == Some("s-0") => {
                    wire.respond(404, &[], "").await
                }
                "tools/list"
                    if !cursor.is_null()
                        && Some(cursor.as_str().unwrap()) != session.as_deref() =>
                {
                    // The other session's cursors are nothing here.
                    let unknown = request.error(-32602, "no such cursor");
                    wire.json(&unknown).await
                }
                "tools/list" => {
                    let name = if cursor.is_null() { "first" } else { "second" };
                    let tools = json!([{"name": name, "inputSchema": {"type": "object"}}]);
                    let mut page = json!({"tools": tools});
                    if cursor.is_null() {
                        page["nextCursor"] = Value::from(session.unwrap());
                    }
                    wire.json(&request.result(&page)).await
                }
                _ => wire.session(&request, "").await,
            }
            .then_some(wire)
        }
    })
    .await;
    let client = legacy(&server).build().unwrap();
    let listing = client.list_tools(&context("alice")).await.unwrap();
    let names: Vec<_> = listing.tools.iter().map(|it| it.name()).collect();
    assert_eq!(names, ["first", "second"]);
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
async fn an_event_that_broke_off_is_asked_for_again() {
    let server = FaultServer::start(|request, mut wire| async move {
        match (request.method.as_str(), request.rpc_method().as_str()) {
            ("GET", _) => {
                // The one before the event that did not arrive whole.
                assert_eq!(request.header("last-event-id"), Some("e-1"));
                wire.events("").await;
                let result = json!({"content": [{"type": "text", "text": "again"}]});
                let answer = json!({"jsonrpc": "2.0", "id": 3, "result": result});
                wire.raw(format!("id: e-2\ndata: {answer}\n\n")).await;
                None
            }
            (_, "tools/call") => {
                assert_eq!(request.id(), 3);
                wire.events("").await;
                wire.raw("id: e-1\nretry: 20\ndata:\n\nid: e-2\ndata: {\"jsonrpc\":")
                    .await;
                None
            }
            _ => wire.session(&request, "s-1").await.then_some(wire),
        }
    })
    .await;
    let client = legacy(&server).build().unwrap();
    client.list_tools(&context("alice")).await.unwrap();
    assert_eq!(call(&client).await.unwrap().text(), "again");
}
