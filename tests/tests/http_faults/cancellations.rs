//! E: calls that nobody waits for any longer.

use mcp_core::{ErrorKind, ToolServer};
use mcp_testbed::fault::{FaultServer, Request};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;

use crate::harness::{PATIENCE, call, call_within, context, legacy, modern};

#[tokio::test]
async fn a_dropped_call_is_cancelled_at_the_server() {
    let (told, mut hears) = mpsc::unbounded_channel();
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
async fn a_dropped_call_of_the_new_dialect_closes_its_stream() {
    let (told, mut hears) = mpsc::unbounded_channel();
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
async fn cancellations_in_a_crowd_leave_the_session_whole() {
    let server = FaultServer::start(|request, mut wire| async move {
        if request.rpc_method() == "tools/call" && request.id().as_u64().unwrap() % 2 == 0 {
            // Answers late, if anybody still waits.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        wire.session(&request, "s-1").await.then_some(wire)
    })
    .await;
    let client = legacy(&server).build().unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for hurry in 0..200_u64 {
        let client = client.clone();
        calls.spawn(async move {
            let patience = match hurry % 4 {
                0 => Duration::from_millis(hurry / 8),
                _ => PATIENCE,
            };
            let context = context("alice").with_timeout(patience);
            call_within(&client, &context)
                .await
                .map(drop)
                .map_err(|it| it.kind())
        });
    }
    while let Some(called) = calls.join_next().await {
        let called = called.unwrap();
        assert!(
            matches!(called, Ok(()) | Err(ErrorKind::Timeout)),
            "{called:?}"
        );
    }
    assert_eq!(call(&client).await.unwrap().text(), "done");
    assert_eq!(server.count("initialize"), 1);
    client.close(&context("alice")).await;
    // Each was cancelled once at most. (Some of them were never sent: they waited for a connection.)
    let seen = server.seen();
    let cancelled = seen.iter().map(Request::json);
    let cancelled = cancelled.filter(|it| it["method"] == "notifications/cancelled");
    let ids: Vec<_> = cancelled
        .map(|it| it["params"]["requestId"].clone())
        .collect();
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id), "{id}");
    }
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
