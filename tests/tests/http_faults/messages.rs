//! D: messages that are wrong, foreign, endless or asked for too often.

use mcp_core::{ErrorKind, ProtocolVersion, ToolCall, ToolServer};
use mcp_http::HttpServer;
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{call, call_answered, context, legacy, modern, small};
use crate::input::accepting;

#[tokio::test]
async fn d1_answers_to_others_are_not_delivered() {
    for id in [json!("1"), json!(null), json!(1.5), json!(999), json!(-1)] {
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"content": []}}).to_string();
        let as_json = answer.clone();
        let error = call_answered(move |_, mut wire| {
            let answer = as_json.clone();
            async move { wire.json(&answer).await.then_some(wire) }
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{id}");

        // On a stream the right one may still come.
        let server = FaultServer::start(move |request, mut wire| {
            let foreign = answer.clone();
            async move {
                wire.events("").await;
                wire.event(&foreign).await;
                wire.event(&request.text("mine")).await;
                None
            }
        })
        .await;
        let client = modern(&server).build().unwrap();
        assert_eq!(call(&client).await.unwrap().text(), "mine");
    }
}

#[tokio::test]
async fn d2_both_result_and_error_or_neither_is_an_error() {
    for rest in [
        json!({"result": {}, "error": {"code": 1, "message": "x"}}),
        json!({}),
    ] {
        let error = call_answered(move |request, mut wire| {
            let mut answer = rest.clone();
            answer["id"] = request.id();
            async move { wire.json(&answer.to_string()).await.then_some(wire) }
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
}

#[tokio::test]
async fn d3_deep_nesting_does_not_overflow_the_stack() {
    let server = FaultServer::start(|request, mut wire| async move {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let answer = format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":{deep}}}}}"#,
            request.id()
        );
        wire.json(&answer).await.then_some(wire)
    })
    .await;
    let client = modern(&server).build().unwrap();
    // Whatever it is called, it is an answer within the deadline.
    if let Ok(output) = call(&client).await {
        assert!(output.text().is_empty());
    }
}

#[tokio::test]
async fn d4_requests_of_the_servers_are_refused_within_bounds() {
    let server = FaultServer::start(|request, mut wire| async move {
        if request.rpc_method() != "tools/call" {
            return wire.session(&request, "s-1").await.then_some(wire);
        }
        wire.events("").await;
        let asks = [("ping", json!("a")), ("sampling/createMessage", json!(7))];
        for (method, id) in asks {
            let asked = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {}});
            wire.event(&asked.to_string()).await;
        }
        wire.event(&request.result(&json!({"content": []}))).await;
        None
    })
    .await;
    let client = legacy(&server).build().unwrap();
    call(&client).await.unwrap();
    let answers: Vec<Value> = server
        .seen()
        .iter()
        .map(Request::json)
        .filter(|it| it["method"].is_null())
        .collect();
    assert_eq!(
        answers[0],
        json!({"jsonrpc": "2.0", "id": "a", "result": {}})
    );
    assert_eq!(answers[1]["id"], 7);
    assert_eq!(answers[1]["error"]["code"], -32601);

    let flood = call_answered(|_, mut wire| async move {
        wire.events("").await;
        let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"}).to_string();
        while wire.event(&ask).await {}
        None
    })
    .await;
    assert_eq!(flood.kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn d6_one_broken_tool_among_many_is_reported() {
    let server = FaultServer::start(|request, mut wire| async move {
        if request.rpc_method() != "tools/list" {
            return wire.modern(&request).await.then_some(wire);
        }
        let mut tools: Vec<Value> = (0..199)
            .map(|n| json!({"name": format!("t{n}"), "inputSchema": {"type": "object"}}))
            .collect();
        tools.insert(100, json!({"name": "broken", "inputSchema": 5}));
        let annotated = |header: &str| {
            json!({"type": "object", "properties": {
            "a": {"type": "string", "x-mcp-header": header}}})
        };
        tools.push(json!({"name": "bad-header", "inputSchema": annotated("a b")}));
        tools.push(json!({"name": "good-header", "inputSchema": annotated("A")}));
        let page = json!({"tools": tools});
        wire.json(&request.result(&page)).await.then_some(wire)
    })
    .await;
    let client = modern(&server).build().unwrap();
    let listing = client.list_tools(&context("alice")).await.unwrap();
    assert_eq!(listing.tools.len(), 200);
    let skipped: Vec<_> = listing.skipped.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(skipped, ["broken", "bad-header"]);

    let tool = listing
        .tools
        .iter()
        .find(|it| it.name() == "good-header")
        .unwrap();
    let arguments = json!({"a": "zürich"}).as_object().unwrap().clone();
    client
        .call_tool(ToolCall::new(tool, &arguments), &context("alice"))
        .await
        .unwrap();
    let seen = server.seen();
    let sent = seen.last().unwrap();
    assert_eq!(sent.header("mcp-param-a"), Some("=?base64?esO8cmljaA==?="));
    assert_eq!(sent.header("mcp-name"), Some("good-header"));
    assert_eq!(sent.header("mcp-method"), Some("tools/call"));
}

#[tokio::test]
async fn d7_pages_end() {
    for (cursor, kind) in [
        (Some("same"), ErrorKind::Protocol),
        (None, ErrorKind::LimitExceeded),
    ] {
        let pages = Arc::new(AtomicUsize::new(0));
        let server = FaultServer::start(move |request, mut wire| {
            let page = pages.fetch_add(1, Ordering::Relaxed);
            async move {
                if request.rpc_method() != "tools/list" {
                    return wire.modern(&request).await.then_some(wire);
                }
                let next = cursor.map_or_else(|| page.to_string(), str::to_owned);
                let result = json!({"tools": [], "nextCursor": next});
                wire.json(&request.result(&result)).await.then_some(wire)
            }
        })
        .await;
        let mut limits = small();
        limits.pages = 20;
        let client = modern(&server).limits(limits).build().unwrap();
        let error = client.list_tools(&context("alice")).await.unwrap_err();
        assert_eq!(error.kind(), kind);
    }
}

#[tokio::test]
async fn d8_what_a_server_says_unasked_is_heard_on_its_own_stream() {
    let (told, hears) = tokio::sync::mpsc::unbounded_channel::<Value>();
    let hears = Arc::new(tokio::sync::Mutex::new(hears));
    let server = FaultServer::start(move |request, mut wire| {
        let (told, hears) = (told.clone(), Arc::clone(&hears));
        async move {
            if request.method == "GET" {
                wire.events("").await;
                for _ in 0..1000 {
                    let note =
                        json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
                    wire.event(&note.to_string()).await;
                }
                let ask = json!({"jsonrpc": "2.0", "id": 5, "method": "elicitation/create",
                    "params": {}});
                wire.event(&ask.to_string()).await;
                wire.closed().await;
                return None;
            }
            let json = request.json();
            if json["id"] == 5 && json["method"].is_null() {
                told.send(json["result"].clone()).unwrap();
            }
            if json["method"] == "tools/call" {
                // The call goes on when its question is answered.
                assert_eq!(hears.lock().await.recv().await.unwrap()["action"], "accept");
            }
            wire.session(&request, "s-1").await.then_some(wire)
        }
    })
    .await;
    let client = legacy(&server).input(accepting()).build().unwrap();
    let mut changes = client.tool_changes();
    assert_eq!(call(&client).await.unwrap().text(), "done");
    // However often it was said, whoever looks now sees one change.
    assert!(changes.has_changed().unwrap());
    assert_eq!(*changes.borrow_and_update(), 1000);
    assert!(!changes.has_changed().unwrap());
}

#[tokio::test]
async fn an_answer_may_come_in_a_batch() {
    for streamed in [false, true] {
        let server = FaultServer::start(move |request: Request, mut wire: Wire| async move {
            match request.rpc_method().as_str() {
                "initialize" => {
                    let said =
                        json!({"protocolVersion": "2025-03-26", "capabilities": {"tools": {}}});
                    wire.json(&request.result(&said)).await.then_some(wire)
                }
                "tools/call" => {
                    assert_eq!(request.header("mcp-protocol-version"), None);
                    let note = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
                    let batch = format!("[{note},{}]", request.text("in a batch"));
                    if streamed {
                        wire.events("").await;
                        wire.event(&batch).await;
                        return None;
                    }
                    wire.json(&batch).await.then_some(wire)
                }
                _ => wire.respond(202, &[], "").await.then_some(wire),
            }
        })
        .await;
        let client = HttpServer::builder(server.url())
            .protocol(Some(ProtocolVersion::V2025_03_26))
            .build()
            .unwrap();
        let changes = client.tool_changes();
        assert_eq!(call(&client).await.unwrap().text(), "in a batch");
        assert!(changes.has_changed().unwrap());
    }
}
