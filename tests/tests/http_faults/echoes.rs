//! A2: what a client sent in confidence is not shown where a server says it back.

use mcp_core::auth::Bearer;
use mcp_http::HttpServer;
use mcp_testbed::fault::{FaultServer, Request};
use serde_json::json;
use std::sync::Arc;

use crate::harness::{call, legacy, modern, shown};
use crate::old_peer::old;

const SESSION: &str = "canary-session-0123456789";
/// The same in Base64, within a header.
const ENCODED: &str = "TWNwLVNlc3Npb24tSWQ6IGNhbmFyeS1zZXNzaW9uLTAxMjM0NTY3ODk=";

#[tokio::test]
async fn a2_the_id_of_a_session_is_not_shown_in_what_its_server_says() {
    let json = ("Content-Type", "application/json");
    let text = ("Content-Type", "text/plain");
    let rpc = |code: i64| {
        let message = format!("no session {SESSION} ({ENCODED})");
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}}).to_string()
    };
    let kind = ("Content-Type", "x/canary-session-0123456789");
    let answers = [
        (200, json, rpc(-32000)),
        (404, json, rpc(-32000)),
        (400, json, rpc(-32602)),
        (404, text, format!("gone: {SESSION}")),
        (403, text, format!("not in {SESSION}")),
        (500, text, format!("lost {SESSION}, {ENCODED}")),
        (200, text, SESSION.to_owned()),
        (200, kind, String::new()),
    ];
    for (status, header, body) in answers {
        let body =
            move |request: &Request| body.replace("\"id\":1", &format!("\"id\":{}", request.id()));
        let server = FaultServer::start(move |request, mut wire| {
            let body = body(&request);
            async move {
                if request.rpc_method() != "tools/call" {
                    return wire.session(&request, SESSION).await.then_some(wire);
                }
                wire.respond(status, &[header], &body).await.then_some(wire)
            }
        })
        .await;
        let error = call(&legacy(&server).build().unwrap()).await.unwrap_err();
        let shown = shown(&error);
        assert!(
            !shown.contains("canary") && !shown.contains("Y2FuYXJ5"),
            "{status}: {shown}"
        );
        let sent = server.seen();
        let sent = sent
            .iter()
            .filter(|it| it.header("mcp-session-id") == Some(SESSION));
        assert!(sent.count() >= 2);
    }
}

#[tokio::test]
async fn a2_the_id_in_an_old_endpoint_is_not_shown_either() {
    let server = FaultServer::start(|request, mut wire| async move {
        if request.method == "GET" {
            wire.events("").await;
            wire.raw("event: endpoint\ndata: /message?sid=canary-session\n\n")
                .await;
            wire.closed().await;
            return None;
        }
        assert_eq!(request.path, "/message?sid=canary-session");
        wire.respond(
            400,
            &[("Content-Type", "text/plain")],
            "no canary-session here",
        )
        .await
        .then_some(wire)
    })
    .await;
    let client = old(&server).build().unwrap();
    let shown = shown(&call(&client).await.unwrap_err());
    assert!(
        shown.contains("no [redacted] here") && !shown.contains("canary"),
        "{shown}"
    );
}

#[tokio::test]
async fn a2_versions_that_a_server_lists_cannot_carry_what_it_was_sent() {
    let server = FaultServer::start(|request, mut wire| async move {
        let data = json!({"supported": ["2030-01-01", "test-token-canary"]});
        let error = json!({"code": -32022, "message": "no", "data": data});
        let body = json!({"jsonrpc": "2.0", "id": request.id(), "error": error}).to_string();
        wire.json_with(400, &body).await.then_some(wire)
    })
    .await;
    let client = HttpServer::builder(server.url())
        .credentials(Arc::new(Bearer::new("test-token-canary").unwrap()))
        .build()
        .unwrap();
    let shown = shown(&call(&client).await.unwrap_err());
    assert!(
        shown.contains("2030-01-01") && !shown.contains("canary"),
        "{shown}"
    );
}

#[tokio::test]
async fn a2_an_echoed_token_is_not_shown_wherever_and_however_it_is_echoed() {
    // Longer than what is kept of an answer, and with what JSON and URLs escape.
    let token = "canary/+=".repeat(400);
    let in_json = token.replace('/', r"\/");
    let in_url = token
        .replace('/', "%2F")
        .replace('+', "%2B")
        .replace('=', "%3D");
    let json = [("Content-Type", "application/json")];
    let text = [("Content-Type", "text/plain")];
    let kind = format!("text/{}", &token[..60]);
    let kind = [("Content-Type", kind.as_str())];
    let error = |error: serde_json::Value| {
        serde_json::json!({"jsonrpc": "2.0", "id": 1, "error": error}).to_string()
    };
    let answers = [
        (403, &text[..], format!("no such token: {token}")),
        (403, &json[..], format!(r#"{{"token":"{in_json}"}}"#)),
        (500, &text[..], format!("back=/login%3F{in_url}")),
        (200, &text[..], token.clone()),
        (200, &kind[..], String::new()),
        (200, &json[..], error(serde_json::json!({"code": token}))),
        (
            200,
            &json[..],
            format!(r#"{{"id":1,"method":["{token}"]}}"#),
        ),
        (
            200,
            &json[..],
            error(serde_json::json!({"code": 1, "message": token})),
        ),
    ];
    for (status, headers, body) in answers {
        let headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let server = FaultServer::start(move |_, mut wire| {
            let (headers, body) = (headers.clone(), body.clone());
            async move {
                let headers: Vec<_> = headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                wire.respond(status, &headers, &body).await.then_some(wire)
            }
        })
        .await;
        let client = modern(&server)
            .credentials(Arc::new(Bearer::new(token.as_str()).unwrap()))
            .build()
            .unwrap();
        let shown = shown(&call(&client).await.unwrap_err());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
