//! What a hostile or broken HTTP peer does, and what must hold (the list of threats, B to E).
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_core::auth::{
    Bearer, CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady,
    Recovery, Rejection,
};
use mcp_core::{
    CallContext, Error, ErrorKind, Failure, Limits, Principal, ProtocolVersion, ToolCall,
    ToolDefinition, ToolOutput, ToolServer,
};
use mcp_http::{
    AddressPolicy, HttpClient, HttpRequest, HttpServer, HttpServerBuilder, HttpUrl, Resolve,
    TransportChoice,
};
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::{Map, Value, json};

/// No test takes longer than this; none but those about time comes near it.
const PATIENCE: Duration = Duration::from_secs(10);

fn context(user: &str) -> CallContext {
    CallContext::new(Principal::new(user).unwrap()).with_timeout(PATIENCE)
}

fn modern(server: &FaultServer) -> HttpServerBuilder {
    HttpServer::builder(server.url()).protocol(Some(ProtocolVersion::V2026_07_28))
}

fn legacy(server: &FaultServer) -> HttpServerBuilder {
    HttpServer::builder(server.url()).protocol(Some(ProtocolVersion::V2025_11_25))
}

fn small() -> Limits {
    let mut limits = Limits::default();
    limits.body_bytes = 64 << 10;
    limits.message_bytes = 64 << 10;
    limits.messages_per_answer = 100;
    limits
}

fn echo() -> ToolDefinition {
    ToolDefinition::from_parts("echo", "", &json!({"type": "object"})).unwrap()
}

async fn call_within(server: &HttpServer, context: &CallContext) -> Result<ToolOutput, Error> {
    let (tool, arguments) = (echo(), Map::new());
    server
        .call_tool(ToolCall::new(&tool, &arguments), context)
        .await
}

async fn call(server: &HttpServer) -> Result<ToolOutput, Error> {
    call_within(server, &context("alice")).await
}

/// What a call meets when its answer is what `answer` writes; everything else is as it should be.
async fn call_answered<W>(answer: impl Fn(Request, Wire) -> W + Send + Sync + 'static) -> Error
where
    W: Future<Output = Option<Wire>> + Send + 'static,
{
    let server = FaultServer::start(answer).await;
    let client = modern(&server).limits(small()).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(
        server.count("tools/call"),
        1,
        "a call was repeated: {error}"
    );
    error
}

fn chain(error: &Error) -> String {
    let mut text = format!("{error} | {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(" | {error} | {error:?}"));
        cause = error.source();
    }
    text
}

// ---- B: where credentials travel

#[tokio::test]
async fn b4_a_post_does_not_follow_to_another_origin() {
    let elsewhere = FaultServer::start(|request, mut wire| async move {
        wire.modern(&request).await.then_some(wire)
    })
    .await;
    let to = elsewhere.url();
    let server = FaultServer::start(move |_, mut wire| {
        let to = to.clone();
        async move {
            wire.respond(307, &[("Location", &to)], "")
                .await
                .then_some(wire)
        }
    })
    .await;
    let client = modern(&server)
        .credentials(Arc::new(Bearer::new("test-token-canary").unwrap()))
        .build()
        .unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RedirectRefused);
    assert!(elsewhere.seen().is_empty());

    // A GET may leave, without what it carried.
    let url = HttpUrl::parse(&server.url()).unwrap();
    let request = HttpRequest::get(&url).credentials(&Credentials::bearer("test-token").unwrap());
    HttpClient::new().fetch(request).await.unwrap();
    let seen = elsewhere.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), None);
}

#[tokio::test]
async fn b4_a_redirect_within_the_origin_keeps_method_body_and_credentials() {
    let server = FaultServer::start(|request, mut wire| async move {
        let sent = if request.path == "/mcp" {
            wire.respond(308, &[("Location", "/real?x=1")], "").await
        } else {
            wire.modern(&request).await
        };
        sent.then_some(wire)
    })
    .await;
    let client = modern(&server)
        .credentials(Arc::new(Bearer::new("test-token-alice").unwrap()))
        .build()
        .unwrap();
    assert_eq!(call(&client).await.unwrap().text(), "done");
    let seen = server.seen();
    assert_eq!(seen[1].path, "/real?x=1");
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(
        seen[1].header("authorization"),
        Some("Bearer test-token-alice")
    );
}

#[tokio::test]
async fn b5_redirects_are_bounded() {
    let server = FaultServer::start(|_, mut wire| async move {
        wire.respond(307, &[("Location", "/mcp")], "")
            .await
            .then_some(wire)
    })
    .await;
    let client = modern(&server).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RedirectRefused);
    assert_eq!(server.seen().len(), Limits::default().redirects + 1);
    let url = HttpUrl::parse(&server.url()).unwrap();
    let error = HttpClient::new()
        .fetch(HttpRequest::get(&url))
        .await
        .unwrap_err();
    assert_eq!(error.into_error().kind(), ErrorKind::RedirectRefused);
}

#[tokio::test]
async fn b6_plain_http_stays_on_this_machine() {
    for url in ["http://mcp.example.com/mcp", "http://10.0.0.1/mcp"] {
        let error = HttpServer::builder(url).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddressRefused, "{url}");
    }
    let client = HttpClient::builder().allow_plain_http(true).build();
    assert!(
        HttpServer::builder("http://mcp.example.com/mcp")
            .client(client)
            .build()
            .is_ok()
    );
}

/// A name server that an attacker runs.
#[derive(Debug)]
struct Lying(&'static str);

impl Resolve for Lying {
    fn resolve<'a>(
        &'a self,
        _: &'a str,
    ) -> mcp_core::BoxFuture<'a, std::io::Result<Vec<std::net::IpAddr>>> {
        let address = self.0.parse().unwrap();
        Box::pin(async move { Ok(vec![address]) })
    }
}

#[tokio::test]
async fn b7_b8_urls_that_a_server_chose_do_not_lead_inside() {
    let configured = HttpUrl::parse("https://mcp.example.com/mcp").unwrap();
    let client = HttpClient::builder().allow_plain_http(true).build();
    for inside in [
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "https://127.0.0.1/",
        "http://localhost/",
    ] {
        let url = HttpUrl::parse(inside).unwrap();
        let request = HttpRequest::get(&url).supplied_by(&configured);
        let error = client.send(request).await.unwrap_err();
        assert!(!error.maybe_received());
        assert_eq!(
            error.into_error().kind(),
            ErrorKind::AddressRefused,
            "{inside}"
        );
    }
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::ffff:127.0.0.1",
        "fd00::1",
    ] {
        let lying = HttpClient::builder()
            .resolver(Arc::new(Lying(address)))
            .build();
        let url = HttpUrl::parse("https://innocent.example.com/x").unwrap();
        let request = HttpRequest::get(&url).supplied_by(&configured);
        let error = lying.send(request).await.unwrap_err().into_error();
        assert_eq!(error.kind(), ErrorKind::AddressRefused, "{address}");
    }
}

#[tokio::test]
async fn b8_localhost_that_was_pointed_elsewhere_gets_no_plain_http() {
    let client = HttpClient::builder()
        .resolver(Arc::new(Lying("1.1.1.1")))
        .build();
    let url = HttpUrl::parse("http://localhost:1/mcp").unwrap();
    let error = client
        .send(HttpRequest::get(&url))
        .await
        .unwrap_err()
        .into_error();
    assert_eq!(error.kind(), ErrorKind::AddressRefused);
    let strict = HttpClient::builder()
        .configured_addresses(AddressPolicy::Public)
        .allow_plain_http(true)
        .build();
    let url = HttpUrl::parse("http://127.0.0.1:1/mcp").unwrap();
    let error = strict
        .send(HttpRequest::get(&url))
        .await
        .unwrap_err()
        .into_error();
    assert_eq!(error.kind(), ErrorKind::AddressRefused);
}

#[tokio::test]
async fn b10_an_endpoint_at_another_origin_is_refused() {
    for endpoint in [
        "http://127.0.0.1:1/message",
        "https://evil.example.com/m",
        "//evil.example.com/m",
    ] {
        let server = FaultServer::start(move |_, mut wire| async move {
            wire.events("").await;
            wire.raw(format!("event: endpoint\ndata: {endpoint}\n\n"))
                .await;
            wire.closed().await;
            None
        })
        .await;
        let client = HttpServer::builder(server.url())
            .transport(TransportChoice::Sse)
            .credentials(Arc::new(Bearer::new("test-token-canary").unwrap()))
            .build()
            .unwrap();
        let error = client.list_tools(&context("alice")).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::AddressRefused,
            "{endpoint}: {error}"
        );
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_stream_that_names_no_endpoint_is_given_up() {
    let server = FaultServer::start(|_, mut wire| async move {
        wire.events("").await;
        while wire.raw(": still here\n\n").await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    })
    .await;
    let mut limits = small();
    limits.connect_timeout = Duration::from_millis(300);
    let client = HttpServer::builder(server.url())
        .transport(TransportChoice::Sse)
        .limits(limits)
        .build()
        .unwrap();
    let error = client.list_tools(&context("alice")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

#[tokio::test]
async fn b12_proxy_variables_are_not_read() {
    // Set for this process before any client is made; nothing listens there.
    let server = FaultServer::start(|request, mut wire| async move {
        wire.modern(&request).await.then_some(wire)
    })
    .await;
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "proxied_child", "--ignored", "--nocapture"])
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("http_proxy", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .env("FAULT_URL", server.url());
    let status = tokio::task::spawn_blocking(move || child.status().unwrap())
        .await
        .unwrap();
    assert!(status.success());
    assert_eq!(server.count("tools/call"), 1);
}

#[tokio::test]
#[ignore = "the other half of b12_proxy_variables_are_not_read"]
async fn proxied_child() {
    let Ok(url) = std::env::var("FAULT_URL") else {
        return;
    };
    call(&HttpServer::builder(url).build().unwrap())
        .await
        .unwrap();
}

// ---- C: bodies and streams

const JSON_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

#[tokio::test]
async fn c1_a_body_past_the_limit_is_not_read() {
    let announced = call_answered(|_, mut wire| async move {
        wire.raw(format!("{JSON_HEAD}Content-Length: 1073741824\r\n\r\n{{"))
            .await;
        wire.closed().await;
        None
    })
    .await;
    assert_eq!(announced.kind(), ErrorKind::LimitExceeded);
    assert!(
        announced.to_string().contains("`body_bytes`"),
        "{announced}"
    );

    let endless = call_answered(|_, mut wire| async move {
        wire.raw(format!("{JSON_HEAD}Connection: close\r\n\r\n["))
            .await;
        let megabyte = vec![b' '; 1 << 20];
        while wire.raw(&megabyte).await {}
        None
    })
    .await;
    assert_eq!(endless.kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn c2_an_encoding_that_nobody_asked_for_is_an_error() {
    let error = call_answered(|request, mut wire| async move {
        assert_eq!(request.header("accept-encoding"), Some("identity"));
        let headers = [
            ("Content-Type", "application/json"),
            ("Content-Encoding", "gzip"),
        ];
        wire.respond(200, &headers, "bomb").await.then_some(wire)
    })
    .await;
    assert!(chain(&error).contains("content encoding"), "{error:?}");
}

#[tokio::test]
async fn c3_an_event_or_line_without_an_end_meets_the_limit() {
    for piece in ["data: x\n", "x", ": x"] {
        let error = call_answered(move |_, mut wire| async move {
            wire.events("").await;
            let flood = piece.repeat(100_000);
            while wire.raw(&flood).await {}
            None
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{piece:?}");
        assert!(error.to_string().contains("`message_bytes`"), "{error}");
    }
}

#[tokio::test]
async fn c4_c5_no_trickle_keeps_a_call_past_its_deadline() {
    for trickle in [
        ": ping\n\n",
        "{",
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":1}}\n\n",
    ] {
        let server = FaultServer::start(move |_, mut wire| async move {
            if trickle == "{" {
                wire.raw(format!("{JSON_HEAD}Content-Length: 1000\r\n\r\n"))
                    .await;
            } else {
                wire.events("").await;
            }
            while wire.raw(trickle).await {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            None
        })
        .await;
        let client = modern(&server).build().unwrap();
        let context = CallContext::new(Principal::local()).with_timeout(Duration::from_millis(400));
        let error = call_within(&client, &context).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{trickle:?}");
    }
}

#[tokio::test]
async fn c5_a_flood_of_notifications_meets_the_limit() {
    let error = call_answered(|_, mut wire| async move {
        wire.events("").await;
        let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {}});
        while wire.event(&note.to_string()).await {}
        None
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(
        error.to_string().contains("`messages_per_answer`"),
        "{error}"
    );
}

#[tokio::test]
async fn c6_another_content_type_is_named_and_its_body_redacted() {
    for (given, named) in [
        (Some("text/html; charset=utf-8"), "`text/html`"),
        (Some("text/plain"), "`text/plain`"),
        (None, "no content type"),
    ] {
        let server = FaultServer::start(move |request, mut wire| async move {
            let body = format!("<p>{} said test-token-canary</p>", request.rpc_method());
            let headers: Vec<_> = given.iter().map(|it| ("Content-Type", *it)).collect();
            wire.respond(200, &headers, &body).await.then_some(wire)
        })
        .await;
        let client = modern(&server)
            .credentials(Arc::new(Bearer::new("test-token-canary").unwrap()))
            .build()
            .unwrap();
        let error = call(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains(named), "{error}");
        assert!(error.to_string().contains("<p>tools/call said"), "{error}");
        assert!(!chain(&error).contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn c6_plain_json_that_claims_to_be_a_stream_is_named() {
    let error = call_answered(|request, mut wire| async move {
        wire.events("").await;
        wire.raw(request.result(&json!({})) + "\n").await;
        None
    })
    .await;
    assert!(chain(&error).contains("text/event-stream"), "{error}");
}

#[tokio::test]
async fn c7_a_stream_cut_anywhere_reads_alike() {
    let server = FaultServer::start(|request, mut wire| async move {
        let answer = request.result(&json!({"content": [{"type": "text", "text": "zürich"}]}));
        let (first, second) = answer.split_at(answer.find("ü").unwrap() - 3);
        // JSON may be broken between any two tokens over several data lines; here, in white space.
        assert!(second.contains("zürich"), "{first}");
        let stream = format!("\u{feff}: hi\r\nevent: message\r\ndata: {answer}\r\n\r\n");
        wire.events("").await;
        for byte in stream.as_bytes().chunks(1) {
            wire.raw(byte).await;
        }
        None
    })
    .await;
    let client = modern(&server).build().unwrap();
    assert_eq!(call(&client).await.unwrap().text(), "zürich");
}

#[tokio::test]
async fn c8_a_lost_answer_is_an_unknown_outcome() {
    type Cut = fn(&Request) -> String;
    let cuts: [Cut; 5] = [
        |_| String::new(),
        |_| "HTTP/1.1 200".to_owned(),
        |_| format!("{JSON_HEAD}Content-Length: 100\r\n\r\n{{\"jsonrpc\""),
        |_| format!("{JSON_HEAD}Content-Length: 18\r\n\r\n{{\"jsonrpc\":\"2.0\",\""),
        |request| {
            let answer = request.result(&json!({}));
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {answer}\n")
        },
    ];
    for (index, cut) in cuts.into_iter().enumerate() {
        let error = call_answered(move |request, mut wire| async move {
            wire.raw(cut(&request)).await;
            None
        })
        .await;
        assert_eq!(
            error.kind(),
            ErrorKind::OutcomeUnknown,
            "{index}: {error:?}"
        );
        assert!(error.source().is_some(), "{index}");
    }
}

#[tokio::test]
async fn c8_a_list_whose_connection_died_is_asked_for_again() {
    let dying = Arc::new(AtomicUsize::new(0));
    let server = FaultServer::start(move |request, mut wire| {
        let died = dying.fetch_add(1, Ordering::Relaxed);
        async move {
            if died == 0 {
                return None;
            }
            wire.modern(&request).await.then_some(wire)
        }
    })
    .await;
    let client = modern(&server).build().unwrap();
    let listing = client.list_tools(&context("alice")).await.unwrap();
    assert_eq!(listing.tools.len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_connection_error() {
    let gone = FaultServer::start(|_, _| async { None }).await;
    let client = HttpServer::builder(gone.url()).build().unwrap();
    drop(gone);
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
}

#[tokio::test]
async fn c9_malformed_json_in_an_event_is_an_error() {
    let error = call_answered(|_, mut wire| async move {
        wire.events("").await;
        wire.event("{\"jsonrpc\": nonsense}").await;
        wire.closed().await;
        None
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn c10_an_acknowledgement_is_no_answer() {
    for status in [202, 204] {
        let error = call_answered(move |_, mut wire| async move {
            wire.respond(status, &[], "").await.then_some(wire)
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}

// ---- D: JSON-RPC

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
                let right = json!({"content": [{"type": "text", "text": "mine"}]});
                wire.event(&request.result(&right)).await;
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
async fn d5_input_is_asked_for_a_bounded_number_of_times() {
    let server = FaultServer::start(|request, mut wire| async move {
        let more = json!({"resultType": "input_required", "requestState": "again"});
        wire.json(&request.result(&more)).await.then_some(wire)
    })
    .await;
    let mut limits = small();
    limits.input_rounds = 3;
    let client = modern(&server).limits(limits).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[1].json()["params"]["requestState"], "again");
    assert_ne!(seen[0].id(), seen[1].id());

    let wants = call_answered(|request, mut wire| async move {
        let form = json!({"method": "elicitation/create", "params": {}});
        let more = json!({"resultType": "input_required", "inputRequests": {"a": form}});
        wire.json(&request.result(&more)).await.then_some(wire)
    })
    .await;
    assert!(wants.to_string().contains("elicitation/create"), "{wants}");
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

// ---- which dialect

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
        let headers = [("Content-Type", "application/json")];
        wire.respond(400, &headers, &body).await.then_some(wire)
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
                    wire.respond(400, &[("Content-Type", "application/json")], &body)
                        .await
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

// ---- E: sessions and credentials in time

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
    let mut heard = [hears.recv().await.unwrap(), hears.recv().await.unwrap()];
    heard.sort_by_key(Value::is_string);
    assert_eq!(heard, [id, json!("closed")]);
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

/// Counts what it is asked and always has something new.
#[derive(Debug, Default)]
struct Eager {
    rejected: AtomicUsize,
    gives: AtomicUsize,
}

impl CredentialProvider for Eager {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let token = format!("test-token-{}", self.gives.fetch_add(1, Ordering::Relaxed));
        MaybeReady::ready(Credentials::bearer(token).map_err(Into::into))
    }

    fn rejected<'a>(
        &'a self,
        _: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        MaybeReady::ready(Ok(Recovery::Retry))
    }
}

#[tokio::test]
async fn e10_e14_a_server_that_always_refuses_is_asked_a_bounded_number_of_times() {
    let scope = r#"Bearer error="insufficient_scope", scope="read write""#;
    for (status, challenge, kind, sent) in [
        (401, "Bearer", ErrorKind::Unauthorized, 2),
        (403, scope, ErrorKind::InsufficientScope, 2),
    ] {
        let server = FaultServer::start(move |_, mut wire| async move {
            let headers = [("WWW-Authenticate", challenge)];
            wire.respond(status, &headers, "").await.then_some(wire)
        })
        .await;
        let provider = Arc::new(Eager::default());
        let client = modern(&server)
            .credentials(Arc::clone(&provider) as _)
            .build()
            .unwrap();
        let context = context("alice");
        let error = call_within(&client, &context).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(server.seen().len(), sent);
        assert_eq!(provider.rejected.load(Ordering::Relaxed), 1);
        assert_eq!(context.report().attempts, 2);
        assert_eq!(error.tool(), Some("echo"));
        if let Failure::InsufficientScope { scopes } = error.failure() {
            assert_eq!(scopes, &["read", "write"]);
        }
    }

    // A stale token, then one that lacks a scope: three tries in all.
    let tries = Arc::new(AtomicUsize::new(0));
    let server = FaultServer::start(move |_, mut wire| {
        let first = tries.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            let status = if first { 401 } else { 403 };
            wire.respond(status, &[("WWW-Authenticate", scope)], "")
                .await
                .then_some(wire)
        }
    })
    .await;
    let client = modern(&server)
        .credentials(Arc::new(Eager::default()))
        .build()
        .unwrap();
    assert_eq!(
        call(&client).await.unwrap_err().kind(),
        ErrorKind::InsufficientScope
    );
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_403_without_a_challenge_says_what_the_server_said() {
    let error = call_answered(|_, mut wire| async move {
        wire.respond(403, &[], "use localhost")
            .await
            .then_some(wire)
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.to_string().contains("use localhost"), "{error}");
}

/// Never has anything.
#[derive(Debug)]
struct Hanging;

impl CredentialProvider for Hanging {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        if request.principal.user() == "bob" {
            return MaybeReady::ready(Ok(Credentials::anonymous()));
        }
        MaybeReady::new(std::future::pending())
    }
}

#[tokio::test]
async fn e11_a_provider_that_hangs_stops_nobody_else() {
    let server = FaultServer::start(|request, mut wire| async move {
        wire.modern(&request).await.then_some(wire)
    })
    .await;
    let client = HttpServer::builder(server.url())
        .credentials(Arc::new(Hanging))
        .build()
        .unwrap();
    let hanging = client.clone();
    let alice = tokio::spawn(async move {
        let context =
            CallContext::new(Principal::new("alice").unwrap()).with_timeout(Duration::from_secs(3));
        call_within(&hanging, &context).await.map(drop)
    });
    tokio::task::yield_now().await;
    assert_eq!(
        call_within(&client, &context("bob")).await.unwrap().text(),
        "done"
    );
    let error = alice.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("credentials"), "{error}");
}

/// Panics with what it knows, at once or later.
#[derive(Debug)]
struct Panicking {
    later: bool,
}

impl CredentialProvider for Panicking {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        assert!(self.later, "test-token-canary");
        MaybeReady::new(async { panic!("test-token-canary") })
    }
}

#[tokio::test]
async fn e11_a_provider_that_panics_is_an_error() {
    let server = FaultServer::start(|_, _| async { None }).await;
    for later in [false, true] {
        let client = modern(&server)
            .credentials(Arc::new(Panicking { later }))
            .build()
            .unwrap();
        let error = call(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
        assert!(!chain(&error).contains("canary"));
    }
    assert!(server.seen().is_empty());
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

#[cfg(target_os = "linux")]
#[tokio::test]
async fn c1_memory_stays_flat_against_endless_answers() {
    fn peak_kib() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|it| it.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
    let server = FaultServer::start(|request, mut wire| async move {
        let odd = request.id().as_u64().unwrap() % 2 == 1;
        let piece = vec![b'x'; 256 << 10];
        if odd {
            wire.raw(format!("{JSON_HEAD}Connection: close\r\n\r\n"))
                .await;
        } else {
            wire.events("").await;
            wire.raw("data: ").await;
        }
        for _ in 0..4096 {
            if !wire.raw(&piece).await {
                break;
            }
        }
        None
    })
    .await;
    let client = modern(&server).build().unwrap();
    let before = peak_kib();
    for _ in 0..4 {
        let error = call(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    }
    let grown = peak_kib() - before;
    assert!(grown < 64 << 10, "{grown} KiB more");
}

// ---- HTTP+SSE

/// A server of 2024-11-05: what is POSTed to a stream's endpoint is answered on that stream.
#[derive(Clone, Debug, Default)]
struct Streams(Arc<std::sync::Mutex<Vec<tokio::sync::mpsc::UnboundedSender<String>>>>);

impl Streams {
    /// Opens a stream and serves it until it is told to end.
    async fn open(&self, mut wire: Wire) -> Option<Wire> {
        let (sender, mut messages) = tokio::sync::mpsc::unbounded_channel();
        let number = {
            let mut streams = self.0.lock().unwrap();
            streams.push(sender);
            streams.len() - 1
        };
        wire.events("").await;
        wire.raw(format!("event: endpoint\ndata: /message?s={number}\n\n"))
            .await;
        while let Some(message) = messages.recv().await {
            if message == "end" {
                return None;
            }
            wire.event(&message).await;
        }
        None
    }

    fn send(&self, stream: usize, message: String) {
        self.0.lock().unwrap()[stream].send(message).unwrap();
    }

    /// Answers as it should be.
    async fn answer(&self, request: &Request, wire: &mut Wire) -> bool {
        let stream = request.path.rsplit('=').next().unwrap().parse().unwrap();
        let answer = match request.rpc_method().as_str() {
            "server/discover" => Some(request.error(-32601, "Method not found")),
            "initialize" => Some(request.result(&json!({
                "protocolVersion": "2024-11-05", "capabilities": {"tools": {}},
                "serverInfo": {"name": "old", "version": "1"}}))),
            "tools/list" => Some(request.result(&json!({
                "tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}))),
            "tools/call" => Some(request.result(&json!({
                "content": [{"type": "text", "text": "done"}]}))),
            _ => None,
        };
        if let Some(answer) = answer {
            self.send(stream, answer);
        }
        wire.respond(202, &[], "Accepted").await
    }
}

#[tokio::test]
async fn an_old_server_is_found_behind_any_path_and_each_post_has_its_own_token() {
    let streams = Streams::default();
    let server = FaultServer::start(move |request, mut wire| {
        let streams = streams.clone();
        async move {
            match (request.method.as_str(), request.path.as_str()) {
                ("GET", "/mcp") => streams.open(wire).await,
                (_, "/mcp") => wire.respond(404, &[], "Cannot POST").await.then_some(wire),
                _ => streams.answer(&request, &mut wire).await.then_some(wire),
            }
        }
    })
    .await;
    let client = HttpServer::builder(server.url())
        .credentials(Arc::new(Eager::default()))
        .build()
        .unwrap();
    let listing = client.list_tools(&context("alice")).await.unwrap();
    assert_eq!(listing.server.protocol, Some(ProtocolVersion::V2024_11_05));
    assert_eq!(call(&client).await.unwrap().text(), "done");
    assert_eq!(call(&client).await.unwrap().text(), "done");
    let seen = server.seen();
    let first: Vec<_> = seen.iter().take(3).map(|it| it.method.as_str()).collect();
    assert_eq!(first, ["POST", "POST", "GET"]);
    let tokens: std::collections::HashSet<_> = seen
        .iter()
        .map(|it| it.header("authorization").unwrap())
        .collect();
    assert_eq!(tokens.len(), seen.len());

    // Only where nobody said otherwise.
    let strict = HttpServer::builder(server.url())
        .transport(TransportChoice::Http)
        .build()
        .unwrap();
    let error = strict.list_tools(&context("alice")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HttpStatus);
    assert!(error.to_string().contains("404"), "{error}");
}

#[tokio::test]
async fn a_stream_that_dies_in_a_call_leaves_its_outcome_unknown_and_is_opened_anew() {
    let (streams, calls) = (Streams::default(), Arc::new(AtomicUsize::new(0)));
    let server = FaultServer::start(move |request, mut wire| {
        let (streams, calls) = (streams.clone(), Arc::clone(&calls));
        async move {
            if request.method == "GET" {
                return streams.open(wire).await;
            }
            let is_call = request.rpc_method() == "tools/call";
            match if is_call {
                calls.fetch_add(1, Ordering::SeqCst)
            } else {
                9
            } {
                // The answer is lost.
                0 => {
                    wire.respond(202, &[], "").await;
                    streams.send(0, "end".to_owned());
                    Some(wire)
                }
                // The stream is not known: the call has not run.
                1 => wire.respond(404, &[], "").await.then_some(wire),
                _ => streams.answer(&request, &mut wire).await.then_some(wire),
            }
        }
    })
    .await;
    let client = HttpServer::builder(server.url())
        .transport(TransportChoice::Sse)
        .build()
        .unwrap();
    client.list_tools(&context("alice")).await.unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:?}");
    assert_eq!(call(&client).await.unwrap().text(), "done");
    let opened = server.seen().iter().filter(|it| it.method == "GET").count();
    assert_eq!(opened, 3);
    assert_eq!(server.count("tools/call"), 3);
}

#[tokio::test]
async fn a_post_that_is_never_answered_ends_with_the_deadline() {
    let streams = Streams::default();
    let server = FaultServer::start(move |request, mut wire| {
        let streams = streams.clone();
        async move {
            match (request.method.as_str(), request.rpc_method().as_str()) {
                ("GET", _) => streams.open(wire).await,
                (_, "tools/call") => {
                    wire.closed().await;
                    None
                }
                _ => streams.answer(&request, &mut wire).await.then_some(wire),
            }
        }
    })
    .await;
    let client = HttpServer::builder(server.url())
        .transport(TransportChoice::Sse)
        .build()
        .unwrap();
    client.list_tools(&context("alice")).await.unwrap();
    let context =
        CallContext::new(Principal::new("alice").unwrap()).with_timeout(Duration::from_millis(200));
    let error = call_within(&client, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}
