//! What a server asks in the middle of a call, and who answers calls it again.

use mcp_http::{HttpServer, HttpServerBuilder};
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::json;
use std::sync::{Arc, Mutex, OnceLock};

use crate::harness::{call, call_within, context, legacy, modern, small};
use crate::input::{accepting, answering};
use crate::old_peer::{OldPeer, old};

/// What a call gives where whoever is asked in it calls the very server that asks. One call may be
/// under way at a time.
async fn asked_and_looked_up(client: HttpServerBuilder) -> String {
    let asking = Arc::new(OnceLock::<HttpServer>::new());
    let known = Arc::clone(&asking);
    let looks_up = answering(move |by| {
        let (server, by) = (known.get().unwrap().clone(), context(by.principal.user()));
        async move {
            let found = call_within(&server, &by).await?;
            Ok(json!({"action": "accept", "content": {"found": found.text()}}))
        }
    });
    let mut limits = small();
    (limits.calls_per_principal, limits.calls_in_flight) = (1, 1);
    let client = client.input(looks_up).limits(limits).build().unwrap();
    asking.set(client.clone()).unwrap();
    call(&client).await.unwrap().text()
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

    /// Whether this is the answer to the question, and what was found.
    fn found(request: &Request) -> Option<String> {
        let json = request.json();
        let found = json["result"]["content"]["found"].as_str()?;
        (json["id"] == 5).then(|| found.to_owned())
    }

    fn is_first(&self, request: &Request) -> bool {
        let mut held = self.held.lock().unwrap();
        let first = held.is_none();
        held.get_or_insert_with(|| request.text("asked"));
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
                    let answer = request.text("looked up");
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
                wire.event(&request.text("asked")).await;
                None
            }
        })
        .await;
        assert_eq!(asked_and_looked_up(legacy(&server)).await, "asked");
    }
}

#[tokio::test]
async fn the_same_over_an_old_stream() {
    let (asks, peer) = (Asks::default(), OldPeer::default());
    let server = FaultServer::start(move |request: Request, mut wire: Wire| {
        let (asks, peer) = (asks.clone(), peer.clone());
        async move {
            let said = if let Some(found) = Asks::found(&request) {
                assert_eq!(found, "looked up");
                asks.held.lock().unwrap().clone().unwrap()
            } else if request.rpc_method() != "tools/call" {
                return peer.serve(request, wire).await;
            } else if asks.is_first(&request) {
                Asks::QUESTION.to_owned()
            } else {
                request.text("looked up")
            };
            peer.say(&request, said);
            peer.accept(&mut wire).await.then_some(wire)
        }
    })
    .await;
    assert_eq!(asked_and_looked_up(old(&server)).await, "asked");
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
                wire.event(&request.text("asked")).await;
                None
            }
        })
        .await;
        let thinks = answering(move |_| {
            let enough = Arc::clone(&enough);
            async move {
                enough.notified().await;
                Ok(json!({"action": "decline"}))
            }
        });
        let client = legacy(&server).input(thinks).build().unwrap();
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
    let client = legacy(&server)
        .input(answering(|_| std::future::pending()))
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
async fn a_server_of_the_new_dialect_that_asks_gets_no_answer() {
    let server = FaultServer::start(|request: Request, mut wire: Wire| async move {
        if request.rpc_method() != "tools/call" {
            return wire.modern(&request).await.then_some(wire);
        }
        wire.events("").await;
        wire.event(Asks::QUESTION).await;
        wire.event(r#"{"jsonrpc":"2.0","id":6,"method":"ping"}"#)
            .await;
        wire.event(&request.text("done")).await;
        None
    })
    .await;
    let client = modern(&server).input(accepting()).build().unwrap();
    assert_eq!(call(&client).await.unwrap().text(), "done");
    // Nothing but requests of ours.
    assert!(
        server
            .seen()
            .iter()
            .all(|it| it.method == "POST" && !it.rpc_method().is_empty())
    );
}
