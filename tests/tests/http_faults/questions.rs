//! What a server asks in the middle of a call, and who answers calls it again.

use mcp_core::duplex::{InputHandler, InputRequest};
use mcp_core::{BoxFuture, CallContext, Error};
use mcp_http::{HttpServer, TransportChoice};
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, OnceLock};

use crate::harness::{call, call_within, context, legacy, small};

/// Looks something up at the very server that asks.
#[derive(Debug, Default)]
struct LooksUp(OnceLock<HttpServer>);

impl InputHandler for LooksUp {
    fn capabilities(&self) -> Value {
        json!({"elicitation": {}})
    }

    fn answer<'a>(
        &'a self,
        _: InputRequest<'a>,
        by: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let found = call_within(self.0.get().unwrap(), &context(by.principal.user())).await?;
            let content = json!({"found": found.text()});
            let answer = json!({"action": "accept", "content": content});
            Ok(serde_json::value::to_raw_value(&answer).unwrap())
        })
    }
}

/// Asks in the first call and answers the second at once.
#[derive(Clone, Debug, Default)]
struct Asks {
    /// The first call's answer, for when its question is answered.
    held: Arc<Mutex<Option<String>>>,
    stream: Arc<Mutex<Option<tokio::sync::mpsc::UnboundedSender<String>>>>,
    answered: Arc<tokio::sync::Notify>,
}

impl Asks {
    const QUESTION: &'static str =
        r#"{"jsonrpc":"2.0","id":5,"method":"elicitation/create","params":{"message":"which?"}}"#;

    fn text(request: &Request, text: &str) -> String {
        request.result(&json!({"content": [{"type": "text", "text": text}]}))
    }

    /// Whether this is the answer to the question, and what was found.
    fn found(request: &Request) -> Option<String> {
        let json = request.json();
        let found = json["result"]["content"]["found"].as_str()?;
        (json["id"] == 5).then(|| found.to_owned())
    }

    fn is_first(&self, request: &Request) -> bool {
        let mut held = self.held.lock().unwrap();
        let first = held.is_none();
        held.get_or_insert_with(|| Self::text(request, "asked"));
        first
    }
}

#[tokio::test]
async fn who_answers_a_question_may_call_the_server_that_asked() {
    for listening in [false, true] {
        let asks = Asks::default();
        let server = FaultServer::start(move |request: Request, mut wire: Wire| {
            let asks = asks.clone();
            async move {
                if request.method == "GET" {
                    if !listening {
                        return wire.respond(405, &[], "").await.then_some(wire);
                    }
                    let (sender, mut questions) = tokio::sync::mpsc::unbounded_channel();
                    *asks.stream.lock().unwrap() = Some(sender);
                    wire.events("").await;
                    while let Some(question) = questions.recv().await {
                        wire.event(&question).await;
                    }
                    return None;
                }
                if let Some(found) = Asks::found(&request) {
                    assert_eq!(found, "looked up");
                    asks.answered.notify_one();
                    return wire.respond(202, &[], "").await.then_some(wire);
                }
                if request.rpc_method() != "tools/call" {
                    return wire.session(&request, "s-1").await.then_some(wire);
                }
                if !asks.is_first(&request) {
                    let answer = Asks::text(&request, "looked up");
                    return wire.json(&answer).await.then_some(wire);
                }
                wire.events("").await;
                if listening {
                    let stream = asks.stream.lock().unwrap().clone().unwrap();
                    stream.send(Asks::QUESTION.to_owned()).unwrap();
                } else {
                    wire.event(Asks::QUESTION).await;
                }
                asks.answered.notified().await;
                wire.event(&Asks::text(&request, "asked")).await;
                None
            }
        })
        .await;
        let handler = Arc::new(LooksUp::default());
        let mut limits = small();
        (limits.calls_per_principal, limits.calls_in_flight) = (1, 1);
        let client = legacy(&server)
            .input(Arc::clone(&handler) as _)
            .limits(limits)
            .build()
            .unwrap();
        handler.0.set(client.clone()).unwrap();
        assert_eq!(call(&client).await.unwrap().text(), "asked");
    }
}

#[tokio::test]
async fn the_same_over_an_old_stream() {
    let asks = Asks::default();
    let server = FaultServer::start(move |request: Request, mut wire: Wire| {
        let asks = asks.clone();
        async move {
            let send = |message: String| {
                let stream = asks.stream.lock().unwrap().clone().unwrap();
                stream.send(message).unwrap();
            };
            if request.method == "GET" {
                let (sender, mut messages) = tokio::sync::mpsc::unbounded_channel();
                *asks.stream.lock().unwrap() = Some(sender);
                wire.events("").await;
                wire.raw("event: endpoint\ndata: /message\n\n").await;
                while let Some(message) = messages.recv().await {
                    wire.event(&message).await;
                }
                return None;
            }
            match request.rpc_method().as_str() {
                "server/discover" => send(request.error(-32601, "Method not found")),
                "initialize" => send(request.result(
                    &json!({"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}}),
                )),
                "tools/call" if asks.is_first(&request) => send(Asks::QUESTION.to_owned()),
                "tools/call" => send(Asks::text(&request, "looked up")),
                _ => {}
            }
            if let Some(found) = Asks::found(&request) {
                assert_eq!(found, "looked up");
                let answer = asks.held.lock().unwrap().clone().unwrap();
                send(answer);
            }
            wire.respond(202, &[], "").await.then_some(wire)
        }
    })
    .await;
    let handler = Arc::new(LooksUp::default());
    let mut limits = small();
    (limits.calls_per_principal, limits.calls_in_flight) = (1, 1);
    let client = HttpServer::builder(server.url())
        .transport(TransportChoice::Sse)
        .input(Arc::clone(&handler) as _)
        .limits(limits)
        .build()
        .unwrap();
    handler.0.set(client.clone()).unwrap();
    assert_eq!(call(&client).await.unwrap().text(), "asked");
}

/// Thinks until it is told to stop.
#[derive(Debug)]
struct Thinks(Arc<tokio::sync::Notify>);

impl InputHandler for Thinks {
    fn capabilities(&self) -> Value {
        json!({"elicitation": {}})
    }

    fn answer<'a>(
        &'a self,
        _: InputRequest<'a>,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            self.0.notified().await;
            let answer = json!({"action": "decline"});
            Ok(serde_json::value::to_raw_value(&answer).unwrap())
        })
    }
}

#[tokio::test]
async fn a_ping_is_answered_while_somebody_thinks() {
    let ping = |id: u32| json!({"jsonrpc": "2.0", "id": id, "method": "ping"}).to_string();
    for listening in [false, true] {
        let enough = Arc::new(tokio::sync::Notify::new());
        let stop = Arc::clone(&enough);
        let asks = Asks::default();
        let server = FaultServer::start(move |request: Request, mut wire: Wire| {
            let (asks, stop) = (asks.clone(), Arc::clone(&stop));
            async move {
                if request.method == "GET" {
                    if !listening {
                        return wire.respond(405, &[], "").await.then_some(wire);
                    }
                    wire.events("").await;
                    // Several in one event, as 2025-03-26 has it.
                    let batch = format!("[{},{}]", Asks::QUESTION, ping(6));
                    wire.event(&batch).await;
                    wire.closed().await;
                    return None;
                }
                let json = request.json();
                if json["id"] == 6 && json["result"].is_object() {
                    // Only now is the question answered.
                    stop.notify_one();
                }
                if json["id"] == 5 && json["result"]["action"] == "decline" {
                    asks.answered.notify_one();
                }
                if json["method"].is_null() {
                    return wire.respond(202, &[], "").await.then_some(wire);
                }
                if request.rpc_method() != "tools/call" {
                    return wire.session(&request, "s-1").await.then_some(wire);
                }
                wire.events("").await;
                if !listening {
                    wire.event(Asks::QUESTION).await;
                    wire.event(&ping(6)).await;
                }
                asks.answered.notified().await;
                wire.event(&Asks::text(&request, "asked")).await;
                None
            }
        })
        .await;
        let client = legacy(&server)
            .input(Arc::new(Thinks(enough)))
            .build()
            .unwrap();
        assert_eq!(call(&client).await.unwrap().text(), "asked", "{listening}");
    }
}

#[tokio::test]
async fn questions_without_end_are_refused_past_a_number() {
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let server = FaultServer::start(move |request: Request, mut wire: Wire| {
        let told = told.clone();
        async move {
            let json = request.json();
            if json["method"].is_null() && request.method == "POST" {
                told.send(json).unwrap();
                return wire.respond(202, &[], "").await.then_some(wire);
            }
            if request.rpc_method() != "tools/call" {
                return wire.session(&request, "s-1").await.then_some(wire);
            }
            wire.events("").await;
            for id in 100..117 {
                let ask = json!({"jsonrpc": "2.0", "id": id, "method": "elicitation/create"});
                wire.event(&ask.to_string()).await;
            }
            wire.closed().await;
            None
        }
    })
    .await;
    let never = Arc::new(tokio::sync::Notify::new());
    let client = legacy(&server)
        .input(Arc::new(Thinks(never)))
        .listen(false)
        .build()
        .unwrap();
    let calling = tokio::spawn(async move { call(&client).await.map(drop) });
    let refused = hears.recv().await.unwrap();
    assert_eq!(
        (&refused["id"], &refused["error"]["code"]),
        (&json!(116), &json!(-32603))
    );
    calling.abort();
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
                    let batch = format!("[{note},{}]", Asks::text(&request, "in a batch"));
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
            .protocol(Some(mcp_core::ProtocolVersion::V2025_03_26))
            .build()
            .unwrap();
        let changes = client.tool_changes();
        assert_eq!(call(&client).await.unwrap().text(), "in a batch");
        assert!(changes.has_changed().unwrap());
    }
}

#[tokio::test]
async fn the_state_of_a_round_goes_back_as_it_came_and_into_no_other_call() {
    let server = FaultServer::start(|request: Request, mut wire: Wire| async move {
        let text = String::from_utf8(request.body.clone()).unwrap();
        let params = request.json()["params"].clone();
        let ask = r#""inputRequests":{"k":{"method":"elicitation/create","params":{}}}"#;
        let again = |more: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"input_required",{more}}}}}"#,
                request.id()
            )
        };
        // A state that reads alike in many ways, then none at all.
        let answer = if params["requestState"].is_string() {
            assert!(
                text.contains(r#""requestState":"\u0041\/é \u00e9""#),
                "{text}"
            );
            assert_eq!(params["inputResponses"]["k"]["action"], "accept");
            again(ask)
        } else if params["inputResponses"].is_object() {
            assert!(params.get("requestState").is_none(), "{text}");
            Asks::text(&request, "done")
        } else {
            again(&format!(r#"{ask},"requestState":"\u0041\/é \u00e9""#))
        };
        wire.json(&answer).await.then_some(wire)
    })
    .await;
    let client = crate::harness::modern(&server)
        .input(Arc::new(crate::messages::Yes))
        .build()
        .unwrap();
    let (one, two) = tokio::join!(call(&client), call(&client));
    assert_eq!(one.unwrap().text(), "done");
    assert_eq!(two.unwrap().text(), "done");
    let seen = server.seen();
    let mut ids: Vec<_> = seen.iter().map(|it| it.id().as_u64()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 6);
}

#[tokio::test]
async fn a_result_of_a_type_that_was_not_offered_is_an_error() {
    let error = crate::harness::call_answered(|request, mut wire| async move {
        let task = json!({"resultType": "task", "taskId": "t-1"});
        wire.json(&request.result(&task)).await.then_some(wire)
    })
    .await;
    assert_eq!(error.kind(), mcp_core::ErrorKind::Protocol);
}

#[tokio::test]
async fn a_server_of_the_new_dialect_that_asks_gets_no_answer() {
    let server = FaultServer::start(|request: Request, mut wire: Wire| async move {
        if request.rpc_method() != "tools/call" {
            return wire.modern(&request).await.then_some(wire);
        }
        wire.events("").await;
        wire.event(Asks::QUESTION).await;
        wire.event(r#"{"jsonrpc":"2.0","id":6,"method":"ping"}"#)
            .await;
        wire.event(&Asks::text(&request, "done")).await;
        None
    })
    .await;
    let client = crate::harness::modern(&server)
        .input(Arc::new(crate::messages::Yes))
        .build()
        .unwrap();
    assert_eq!(call(&client).await.unwrap().text(), "done");
    // Nothing but requests of ours.
    assert!(
        server
            .seen()
            .iter()
            .all(|it| it.method == "POST" && !it.rpc_method().is_empty())
    );
}
