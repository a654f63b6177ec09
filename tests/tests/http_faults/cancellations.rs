//! E: calls that nobody waits for any longer.

use mcp_core::{ErrorKind, ToolServer};
use mcp_http::HttpServer;
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::mpsc;

use crate::harness::{PATIENCE, call, call_within, context, legacy, modern};

/// What happened to a call.
#[derive(Debug, PartialEq)]
enum Told {
    Called(Value),
    Cancelled(Value),
    Closed,
}

/// A server that says nothing to a call, and takes so long to hear that one was cancelled.
async fn silent(pause: Duration) -> (FaultServer, mpsc::UnboundedReceiver<Told>) {
    let (told, hears) = mpsc::unbounded_channel();
    let server = FaultServer::start(move |request: Request, mut wire: Wire| {
        let told = told.clone();
        async move {
            match request.rpc_method().as_str() {
                "tools/call" => {
                    told.send(Told::Called(request.id())).unwrap();
                    wire.closed().await;
                    told.send(Told::Closed).unwrap();
                    None
                }
                "notifications/cancelled" => {
                    tokio::time::sleep(pause).await;
                    let id = request.json()["params"]["requestId"].clone();
                    told.send(Told::Cancelled(id)).unwrap();
                    wire.respond(202, &[], "").await.then_some(wire)
                }
                _ => wire.session(&request, "s-1").await.then_some(wire),
            }
        }
    })
    .await;
    (server, hears)
}

/// Makes a call and gives it up when the server has it; gives its id.
async fn give_up(client: &HttpServer, hears: &mut mpsc::UnboundedReceiver<Told>) -> Value {
    let caller = client.clone();
    let calling = tokio::spawn(async move { call(&caller).await.map(drop) });
    let Some(Told::Called(id)) = hears.recv().await else {
        panic!("no call came");
    };
    calling.abort();
    assert!(calling.await.unwrap_err().is_cancelled());
    id
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_at_the_server() {
    let (server, mut hears) = silent(Duration::ZERO).await;
    let client = legacy(&server).build().unwrap();
    let id = give_up(&client, &mut hears).await;
    let said = [hears.recv().await.unwrap(), hears.recv().await.unwrap()];
    assert!(said.contains(&Told::Cancelled(id)), "{said:?}");
    assert!(said.contains(&Told::Closed), "{said:?}");
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
    // Slower than the end of the session.
    let (server, mut hears) = silent(Duration::from_millis(200)).await;
    let client = legacy(&server).build().unwrap();
    let id = give_up(&client, &mut hears).await;
    client.close(&context("alice")).await;
    let said = std::iter::from_fn(|| hears.try_recv().ok());
    assert!(said.collect::<Vec<_>>().contains(&Told::Cancelled(id)));
}
