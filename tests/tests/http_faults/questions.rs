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
