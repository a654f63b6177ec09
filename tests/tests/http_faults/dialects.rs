//! Which dialect a server speaks, and that it may change.

use mcp_core::{ErrorKind, ProtocolVersion, ToolServer};
use mcp_http::{HttpClient, HttpServer};
use mcp_testbed::fault::FaultServer;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::harness::{call, call_within, context, later, small};

#[tokio::test]
async fn a_server_silent_to_the_probe_is_spoken_with_in_sessions() {
    let server = FaultServer::start(|request, mut wire| async move {
        if request.rpc_method() == "server/discover" {
            wire.closed().await;
            return None;
        }
        wire.session(&request, "s-1").await.then_some(wire)
    })
    .await;
    let mut limits = small();
    limits.startup_timeout = Duration::from_secs(1);
    let client = HttpServer::builder(server.url())
        .limits(limits)
        .build()
        .unwrap();
    let listing = client.list_tools(&context("alice")).await.unwrap();
    assert_eq!(listing.server.protocol, Some(ProtocolVersion::V2025_11_25));
    call(&client).await.unwrap();
    assert_eq!(server.count("server/discover"), 1);
    assert_eq!(server.count("initialize"), 1);
}

#[tokio::test]
async fn a_refused_version_is_looked_up_in_what_the_server_lists() {
    let server = FaultServer::start(|request, mut wire| async move {
        if request.rpc_method() != "server/discover" {
            return wire.session(&request, "s-1").await.then_some(wire);
        }
        let error = json!({"code": -32022, "message": "no", "data": {"supported": ["2025-11-25"]}});
        let body = json!({"jsonrpc": "2.0", "id": request.id(), "error": error}).to_string();
        wire.json_with(400, &body).await.then_some(wire)
    })
    .await;
    let client = HttpServer::builder(server.url()).build().unwrap();
    call(&client).await.unwrap();
    assert_eq!(server.count("initialize"), 1);
}

#[tokio::test]
async fn a_server_that_learns_the_new_dialect_is_followed() {
    let upgraded = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let now = Arc::clone(&upgraded);
    let server = FaultServer::start(move |request, mut wire| {
        let modern = now.load(Ordering::Relaxed);
        async move {
            let sent = match request.rpc_method().as_str() {
                "initialize" if modern => {
                    let body = request.error(-32022, "no");
                    wire.json_with(400, &body).await
                }
                _ if modern && request.header("mcp-session-id").is_some() => {
                    wire.respond(404, &[], "").await
                }
                _ if modern => wire.modern(&request).await,
                _ => wire.session(&request, "s-1").await,
            };
            sent.then_some(wire)
        }
    })
    .await;
    let client = HttpServer::builder(server.url()).build().unwrap();
    call(&client).await.unwrap();
    upgraded.store(true, Ordering::Relaxed);
    let context = context("alice");
    call_within(&client, &context).await.unwrap();
    let listing = client.list_tools(&context).await.unwrap();
    assert_eq!(listing.server.protocol, Some(ProtocolVersion::V2026_07_28));
}

#[tokio::test]
async fn who_is_always_refused_does_not_have_the_server_asked_over_and_over() {
    let server = FaultServer::start(|request, mut wire| async move {
        let sent = match request.rpc_method().as_str() {
            "tools/call" => wire.respond(404, &[], "").await,
            _ => wire.modern(&request).await,
        };
        sent.then_some(wire)
    })
    .await;
    let client = HttpServer::builder(server.url()).build().unwrap();
    for _ in 0..5 {
        let error = call(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HttpStatus);
    }
    assert_eq!(server.count("server/discover"), 2);
    later(Duration::from_secs(1)).await;
    call(&client).await.unwrap_err();
    call(&client).await.unwrap_err();
    assert_eq!(server.count("server/discover"), 3);
}

#[tokio::test]
async fn the_dialect_is_found_once_for_all_who_share_a_client() {
    let server = FaultServer::start(|request, mut wire| async move {
        let answered = match request.rpc_method().as_str() {
            "server/discover" => wire.respond(400, &[], "").await,
            _ => wire.session(&request, "s-1").await,
        };
        answered.then_some(wire)
    })
    .await;
    let client = HttpClient::new();
    for _ in 0..3 {
        let own = HttpServer::builder(server.url()).client(client.clone());
        call(&own.build().unwrap()).await.unwrap();
    }
    assert_eq!(server.count("server/discover"), 1);
    assert_eq!(server.count("initialize"), 3);
}
