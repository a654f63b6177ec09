//! HTTP+SSE: streams that die and POSTs that lead nowhere.

use mcp_core::{CallContext, ErrorKind, Principal, ProtocolVersion, ToolServer};
use mcp_http::{HttpServer, TransportChoice};
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::{Eager, call, call_within, context};
use crate::messages::Yes;

/// A server of 2024-11-05: what goes to a stream's endpoint is answered on that stream.
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
async fn a_list_that_ends_with_its_stream_is_asked_for_once_more() {
    let (streams, lists) = (Streams::default(), Arc::new(AtomicUsize::new(0)));
    let counts = Arc::clone(&lists);
    let server = FaultServer::start(move |request, mut wire| {
        let (streams, lists) = (streams.clone(), Arc::clone(&lists));
        async move {
            if request.method == "GET" {
                return streams.open(wire).await;
            }
            let is_list = request.rpc_method() == "tools/list";
            if is_list && lists.fetch_add(1, Ordering::SeqCst) != 1 {
                wire.respond(202, &[], "").await;
                let stream = request.path.rsplit('=').next().unwrap().parse().unwrap();
                streams.send(stream, "end".to_owned());
                return Some(wire);
            }
            streams.answer(&request, &mut wire).await.then_some(wire)
        }
    })
    .await;
    let client = HttpServer::builder(server.url())
        .transport(TransportChoice::Sse)
        .build()
        .unwrap();
    let listing = client.list_tools(&context("alice")).await.unwrap();
    assert_eq!(listing.tools.len(), 1);
    assert_eq!(counts.load(Ordering::SeqCst), 2);
    // Not for ever.
    client.list_tools(&context("bob")).await.unwrap_err();
    assert_eq!(counts.load(Ordering::SeqCst), 4);
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

#[tokio::test]
async fn what_a_server_asks_on_its_stream_reaches_the_handler() {
    let (streams, held) = (Streams::default(), Arc::<std::sync::Mutex<_>>::default());
    let server = FaultServer::start(move |request, mut wire| {
        let (streams, held) = (streams.clone(), Arc::clone(&held));
        async move {
            if request.method == "GET" {
                return streams.open(wire).await;
            }
            let json = request.json();
            if json["method"] == "tools/call" {
                // It goes on when its question is answered.
                let answer = request.result(&json!({"content": [{"type": "text", "text": "on"}]}));
                *held.lock().unwrap() = Some(answer);
                let ask = json!({"jsonrpc": "2.0", "id": 5, "method": "elicitation/create",
                    "params": {"message": "on?"}});
                streams.send(0, ask.to_string());
                return wire.respond(202, &[], "").await.then_some(wire);
            }
            if json["id"] == 5 && json["result"]["action"] == "accept" {
                streams.send(0, held.lock().unwrap().take().unwrap());
            }
            streams.answer(&request, &mut wire).await.then_some(wire)
        }
    })
    .await;
    let client = HttpServer::builder(server.url())
        .transport(TransportChoice::Sse)
        .input(Arc::new(Yes))
        .build()
        .unwrap();
    assert_eq!(call(&client).await.unwrap().text(), "on");
}
