//! What the requests of a session say, and what its beginning says.

use mcp_core::auth::Bearer;
use mcp_core::{ErrorKind, ToolServer};
use mcp_testbed::fault::FaultServer;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::mpsc;

use crate::harness::{PATIENCE, call, context, legacy};

#[tokio::test]
async fn every_request_of_a_session_says_who_asks_and_in_which() {
    let (told, mut hears) = mpsc::unbounded_channel();
    let server = FaultServer::start(move |request, mut wire| {
        let told = told.clone();
        async move {
            match request.method.as_str() {
                "GET" => {
                    told.send(()).unwrap();
                    // Away for a moment, which says nothing of what is offered.
                    if request.header("last-event-id").is_none() {
                        return wire.respond(503, &[], "").await.then_some(wire);
                    }
                    wire.closed().await;
                    None
                }
                _ => wire.session(&request, "s-1").await.then_some(wire),
            }
        }
    })
    .await;
    let client = legacy(&server)
        .credentials(Arc::new(Bearer::new("test-token-alice").unwrap()))
        .listen(true)
        .build()
        .unwrap();
    call(&client).await.unwrap();
    // The listening stream is asked for again.
    for _ in 0..2 {
        tokio::time::timeout(PATIENCE, hears.recv())
            .await
            .unwrap()
            .unwrap();
    }
    client.close(&context("alice")).await;
    let seen = server.seen();
    for method in ["GET", "POST", "DELETE"] {
        assert!(seen.iter().any(|it| it.method == method), "{method}");
    }
    for request in seen {
        assert_eq!(
            request.header("authorization"),
            Some("Bearer test-token-alice")
        );
        let opens = request.rpc_method() == "initialize";
        let session = (!opens).then_some("s-1");
        assert_eq!(request.header("mcp-session-id"), session, "{request:?}");
        let version = (!opens).then_some("2025-11-25");
        assert_eq!(
            request.header("mcp-protocol-version"),
            version,
            "{request:?}"
        );
        assert!(!request.path.contains("test-token"));
    }
}

#[tokio::test]
async fn no_tool_is_called_where_none_was_offered() {
    let server = FaultServer::start(|request, mut wire| async move {
        if request.rpc_method() == "initialize" {
            let said = json!({"protocolVersion": "2025-11-25", "capabilities": {"prompts": {}}});
            return wire.json(&request.result(&said)).await.then_some(wire);
        }
        wire.respond(202, &[], "").await.then_some(wire)
    })
    .await;
    let error = call(&legacy(&server).build().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTool);
    assert_eq!(server.count("tools/call"), 0);
}
