//! What is said to a server when something ends, and that it is said in time.

use mcp_core::{CallContext, ErrorKind, ToolServer};
use mcp_testbed::fault::FaultServer;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

use crate::harness::{PATIENCE, call, call_answered, call_within, context, legacy, modern, small};

#[tokio::test]
async fn a_session_that_makes_way_is_ended_at_the_server() {
    let (told, mut hears) = mpsc::unbounded_channel();
    let opened = Arc::new(AtomicUsize::new(0));
    let server = FaultServer::start(move |request, mut wire| {
        let (told, opened) = (told.clone(), Arc::clone(&opened));
        async move {
            let mut session = String::new();
            if request.rpc_method() == "initialize" {
                session = format!("s-{}", opened.fetch_add(1, Ordering::SeqCst));
            }
            if request.method == "DELETE" {
                let ended = request.header("mcp-session-id").unwrap();
                told.send(ended.to_owned()).unwrap();
            }
            wire.session(&request, &session).await.then_some(wire)
        }
    })
    .await;
    let mut limits = small();
    limits.sessions = 2;
    let client = legacy(&server).limits(limits).build().unwrap();
    let mut user = 0;
    let ended = loop {
        // Room is made when somebody comes.
        call_within(&client, &context(&format!("user-{user}")))
            .await
            .unwrap();
        user += 1;
        let hearing = tokio::time::timeout(Duration::from_millis(20), hears.recv());
        match hearing.await {
            Ok(ended) => break ended.unwrap(),
            Err(_) => assert!(user < 200, "no session was ended"),
        }
    };
    assert!(ended.starts_with("s-"));
}

#[tokio::test]
async fn closing_waits_until_a_cancellation_has_been_told() {
    let (told, mut hears) = mpsc::unbounded_channel();
    let server = FaultServer::start(move |request, mut wire| {
        let told = told.clone();
        async move {
            match request.rpc_method().as_str() {
                "tools/call" => {
                    told.send(request.id()).unwrap();
                    wire.closed().await;
                    None
                }
                "notifications/cancelled" => {
                    // Slower than the end of the session.
                    tokio::time::sleep(Duration::from_millis(200)).await;
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
    let id = hears.recv().await.unwrap();
    calling.abort();
    assert!(calling.await.unwrap_err().is_cancelled());
    client.close(&context("alice")).await;
    assert_eq!(hears.try_recv().unwrap(), id);
}

#[tokio::test]
async fn a_capability_that_is_missing_is_named() {
    let error = call_answered(|request, mut wire| async move {
        let error = json!({"code": -32021, "message": "not without you",
            "data": {"requiredCapabilities": {"elicitation": {"url": {}}, "sampling": {}}}});
        let body = json!({"jsonrpc": "2.0", "id": request.id(), "error": error}).to_string();
        let headers = [("Content-Type", "application/json")];
        wire.respond(400, &headers, &body).await.then_some(wire)
    })
    .await;
    let said = error.to_string();
    assert!(said.contains("not without you"), "{said}");
    assert!(said.contains("elicitation.url, sampling"), "{said}");
}

#[tokio::test]
async fn c5_progress_extends_the_deadline_only_if_asked_and_never_past_the_total() {
    let server = FaultServer::start(|request, mut wire| async move {
        wire.events("").await;
        let token = request.json()["params"]["_meta"]["progressToken"].clone();
        let told = |token: &Value| {
            json!({"jsonrpc": "2.0", "method": "notifications/progress",
                "params": {"progressToken": token, "progress": 1}})
        };
        while wire.event(&told(&token).to_string()).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    })
    .await;
    let mut limits = small();
    limits.call_timeout = Duration::from_secs(1);
    let client = modern(&server).limits(limits).build().unwrap();
    // Progress keeps it alive four times as long as its patience is; the total ends it.
    let patient = CallContext::default().with_progress_timeout(Duration::from_millis(250));
    let error = call_within(&client, &patient).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        error.to_string().contains("waiting for the answer"),
        "{error}"
    );
    let hasty = CallContext::default().with_progress_timeout(Duration::from_millis(10));
    let error = tokio::time::timeout(PATIENCE, call_within(&client, &hasty)).await;
    let error = error.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("waiting for progress"),
        "{error}"
    );
}
