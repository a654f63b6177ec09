//! Sessions: what their end says to whom, and who hears their ids.

use mcp_core::auth::{
    Bearer, CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady,
    Recovery, Rejection,
};
use mcp_core::{CallContext, ErrorKind, Principal, ToolServer};
use mcp_http::{HttpServer, TransportChoice};
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

use crate::harness::{PATIENCE, call, call_within, chain, context, legacy, small};

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
        let shown = chain(&error);
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
    let client = HttpServer::builder(server.url())
        .transport(TransportChoice::Sse)
        .build()
        .unwrap();
    let shown = chain(&call(&client).await.unwrap_err());
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
        let headers = [("Content-Type", "application/json")];
        wire.respond(400, &headers, &body).await.then_some(wire)
    })
    .await;
    let client = HttpServer::builder(server.url())
        .credentials(Arc::new(Bearer::new("test-token-canary").unwrap()))
        .build()
        .unwrap();
    let shown = chain(&call(&client).await.unwrap_err());
    assert!(
        shown.contains("2030-01-01") && !shown.contains("canary"),
        "{shown}"
    );
}

/// Gives a token until it is told that the user has left, and counts who asks then.
#[derive(Debug, Default)]
struct Leaving {
    left: AtomicBool,
    asked: AtomicUsize,
}

impl CredentialProvider for Leaving {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        if self.left.load(Ordering::SeqCst) {
            self.asked.fetch_add(1, Ordering::SeqCst);
        }
        MaybeReady::ready(Credentials::bearer("test-token-alice").map_err(Into::into))
    }

    fn rejected<'a>(
        &'a self,
        _: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        MaybeReady::ready(Ok(Recovery::GiveUp))
    }
}

/// A server with sessions that tells of each that is ended, and by whom.
async fn telling() -> (FaultServer, mpsc::UnboundedReceiver<Option<String>>) {
    let (told, hears) = mpsc::unbounded_channel();
    let server = FaultServer::start(move |request: Request, mut wire: Wire| {
        let told = told.clone();
        async move {
            if request.method == "DELETE" {
                let by = request.header("authorization").map(str::to_owned);
                told.send(by).unwrap();
            }
            wire.session(&request, "s-1").await.then_some(wire)
        }
    })
    .await;
    (server, hears)
}

#[tokio::test]
async fn the_provider_of_who_has_logged_out_is_not_asked_for_the_end_of_a_session() {
    let as_alice = Some("Bearer test-token-alice".to_owned());
    for closes in [true, false] {
        let (server, mut hears) = telling().await;
        let provider = Arc::new(Leaving::default());
        let mut limits = small();
        limits.sessions = 1;
        let client = legacy(&server)
            .credentials(Arc::clone(&provider) as _)
            .limits(limits)
            .build()
            .unwrap();
        call(&client).await.unwrap();
        provider.left.store(true, Ordering::SeqCst);
        if closes {
            client.close(&context("alice")).await;
            assert_eq!(hears.recv().await.unwrap(), as_alice);
            assert_eq!(provider.asked.load(Ordering::SeqCst), 0);
            continue;
        }
        // Others come until hers makes way.
        let mut user = 0;
        loop {
            let other = context(&format!("user-{user}"));
            call_within(&client, &other).await.unwrap();
            user += 1;
            let hearing = tokio::time::timeout(Duration::from_millis(20), hears.recv());
            if let Ok(by) = hearing.await {
                assert_eq!(by.unwrap(), as_alice);
                break;
            }
            assert!(user < 200, "no session was ended");
        }
        // Each of the others asked for its three requests.
        assert_eq!(provider.asked.load(Ordering::SeqCst), 3 * user);
    }
}

#[tokio::test]
async fn a_session_whose_opening_fails_is_ended_too() {
    let (told, mut hears) = mpsc::unbounded_channel();
    let server = FaultServer::start(move |request, mut wire| {
        let told = told.clone();
        async move {
            if request.method == "DELETE" {
                let ended = request.header("mcp-session-id").unwrap();
                told.send(ended.to_owned()).unwrap();
            }
            if request.rpc_method() == "notifications/initialized" {
                return wire.respond(503, &[], "").await.then_some(wire);
            }
            wire.session(&request, "s-half").await.then_some(wire)
        }
    })
    .await;
    let client = legacy(&server).build().unwrap();
    assert_eq!(
        call(&client).await.unwrap_err().kind(),
        ErrorKind::HttpStatus
    );
    let ended = tokio::time::timeout(PATIENCE, hears.recv()).await.unwrap();
    assert_eq!(ended.unwrap(), "s-half");
}

/// Has credentials for the handshake at once; for more, somebody has to open the gate.
#[derive(Debug)]
struct Gated {
    free: AtomicUsize,
    gate: Semaphore,
    waits: mpsc::UnboundedSender<()>,
}

impl CredentialProvider for Gated {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let given = || Credentials::bearer("test-token-alice").map_err(Into::into);
        let less = |free: usize| free.checked_sub(1);
        let free = self
            .free
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        if free.is_ok() {
            return MaybeReady::ready(given());
        }
        MaybeReady::new(async move {
            self.waits.send(()).unwrap();
            drop(self.gate.acquire().await.unwrap());
            given()
        })
    }

    fn rejected<'a>(
        &'a self,
        _: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        MaybeReady::ready(Ok(Recovery::GiveUp))
    }
}

#[tokio::test]
async fn a_call_that_waits_for_its_credentials_is_not_cancelled_at_the_server() {
    let server = FaultServer::start(|request, mut wire| async move {
        wire.session(&request, "s-1").await.then_some(wire)
    })
    .await;
    let (waits, mut waiting) = mpsc::unbounded_channel();
    let provider = Arc::new(Gated {
        free: AtomicUsize::new(2),
        gate: Semaphore::new(0),
        waits,
    });
    let client = legacy(&server)
        .credentials(Arc::clone(&provider) as _)
        .build()
        .unwrap();
    let caller = client.clone();
    let calling = tokio::spawn(async move { call(&caller).await.map(drop) });
    waiting.recv().await.unwrap();
    calling.abort();
    assert!(calling.await.unwrap_err().is_cancelled());
    provider.gate.add_permits(100);
    // Whatever is to be said is said by then.
    client.close(&context("alice")).await;
    assert_eq!(server.count("tools/call"), 0);
    assert_eq!(server.count("notifications/cancelled"), 0);
}

#[tokio::test]
async fn time_for_credentials_is_not_silence_of_the_server() {
    // It is asked who it is, and only that it understands.
    let server = FaultServer::start(|request, mut wire| async move {
        if request.rpc_method() == "initialize" {
            let body = request.error(-32602, "the version is missing");
            let headers = [("Content-Type", "application/json")];
            return wire.respond(400, &headers, &body).await.then_some(wire);
        }
        wire.modern(&request).await.then_some(wire)
    })
    .await;
    let (waits, mut waiting) = mpsc::unbounded_channel();
    let provider = Arc::new(Gated {
        free: AtomicUsize::new(0),
        gate: Semaphore::new(0),
        waits,
    });
    let mut limits = small();
    // A third of it is what the server may be silent for.
    limits.startup_timeout = Duration::from_millis(1500);
    let client = HttpServer::builder(server.url())
        .credentials(Arc::clone(&provider) as _)
        .limits(limits)
        .build()
        .unwrap();
    let calling = tokio::spawn(async move { call(&client).await.map(|it| it.text().clone()) });
    waiting.recv().await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    provider.gate.add_permits(100);
    assert_eq!(calling.await.unwrap().unwrap(), "done");
    assert_eq!(server.count("initialize"), 0);
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

#[tokio::test]
async fn a_list_whose_session_is_lost_between_pages_begins_anew() {
    let opened = Arc::new(AtomicUsize::new(0));
    let server = FaultServer::start(move |request, mut wire| {
        let opened = Arc::clone(&opened);
        async move {
            let json = [("Content-Type", "application/json")];
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
                    wire.respond(200, &json, &request.error(-32602, "no such cursor"))
                        .await
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
            let context = CallContext::new(Principal::new("alice").unwrap()).with_timeout(patience);
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
