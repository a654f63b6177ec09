//! Waits that a server, or a user, leaves open: none of them holds up what is done already.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_core::duplex::{InputHandler, InputRequest};
use mcp_core::{BoxFuture, CallContext, Error, ToolServer as _};
use mcp_testbed::fault::FaultServer;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::harness::{PATIENCE, call, context, legacy, modern};

/// A user who never makes up their mind.
#[derive(Debug)]
struct Undecided;

impl InputHandler for Undecided {
    fn capabilities(&self) -> Value {
        json!({"elicitation": {}})
    }

    fn answer<'a>(
        &'a self,
        _: InputRequest<'a>,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn an_answer_that_is_there_is_not_lost_to_a_question_that_is_open() {
    let server = FaultServer::start(|request, mut wire| async move {
        match (request.method.as_str(), request.rpc_method().as_str()) {
            ("GET", _) => wire.respond(405, &[], "").await.then_some(wire),
            (_, "tools/call") => {
                let ask = json!({"jsonrpc": "2.0", "id": 5, "method": "elicitation/create",
                    "params": {"message": "on?"}});
                let done = json!({"content": [{"type": "text", "text": "went on"}]});
                wire.events("").await;
                wire.event(&ask.to_string()).await;
                wire.event(&request.result(&done)).await;
                None
            }
            _ => wire.session(&request, "s-1").await.then_some(wire),
        }
    })
    .await;
    let client = legacy(&server).input(Arc::new(Undecided)).build().unwrap();
    assert_eq!(call(&client).await.unwrap().text(), "went on");
}

#[tokio::test]
async fn c4_a_subscription_whose_answer_never_comes_is_asked_for_again() {
    let (told, mut hears) = mpsc::unbounded_channel();
    let asked = Arc::new(AtomicUsize::new(0));
    let server = FaultServer::start(move |request, mut wire| {
        let (told, asked) = (told.clone(), Arc::clone(&asked));
        async move {
            match request.rpc_method().as_str() {
                "subscriptions/listen" => {
                    told.send(asked.fetch_add(1, Ordering::SeqCst)).unwrap();
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
                    wire.raw(format!("{head}Content-Length: 100\r\n\r\n")).await;
                    wire.closed().await;
                    None
                }
                "server/discover" => {
                    let said = json!({"supportedVersions": ["2026-07-28"],
                        "capabilities": {"tools": {"listChanged": true}}});
                    wire.json(&request.result(&said)).await.then_some(wire)
                }
                _ => wire.modern(&request).await.then_some(wire),
            }
        }
    })
    .await;
    let mut limits = mcp_core::Limits::default();
    limits.startup_timeout = Duration::from_millis(200);
    let client = modern(&server).limits(limits).listen(true).build().unwrap();
    client.list_tools(&context("alice")).await.unwrap();
    for expected in 0..2 {
        let number = tokio::time::timeout(PATIENCE, hears.recv()).await;
        assert_eq!(number.unwrap(), Some(expected));
    }
}
