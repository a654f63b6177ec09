//! A connection against a scripted peer in memory, time standing still.

mod calls;
mod incoming;
mod input;
mod listening;
mod negotiation;
mod requests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Channel, Duplex, InputHandler, InputRequest, Outgoing, Settings};
use crate::auth::MaybeReady;
use crate::{
    BoxFuture, CallContext, Error, ErrorKind, Failure, Limits, ProgressHandler, ProgressUpdate,
    ProtocolVersion, ToolCall, ToolDefinition, ToolOutput, Transport,
};

/// Everything that was sent, in order.
type Sent = Arc<Mutex<Vec<Value>>>;

#[derive(Debug)]
struct Wire {
    sent: Sent,
    out: mpsc::UnboundedSender<Value>,
}

impl Wire {
    fn push(&self, message: &[u8]) {
        let message: Value = serde_json::from_slice(message).unwrap();
        self.sent.lock().unwrap().push(message.clone());
        let _ = self.out.send(message);
    }
}

impl Channel for Wire {
    fn transport(&self) -> Transport {
        Transport::Stdio
    }

    fn send<'a>(&'a self, message: Vec<u8>, _: Outgoing<'a>) -> MaybeReady<'a, Result<(), Error>> {
        self.push(&message);
        MaybeReady::ready(Ok(()))
    }

    fn post(&self, message: Vec<u8>) {
        self.push(&message);
    }
}

/// A connection whose peer answers each message with what the script says.
fn peer(
    settings: Settings,
    script: impl Fn(&Value) -> Vec<Value> + Send + 'static,
) -> (Arc<Duplex>, Sent) {
    let (out, mut messages) = mpsc::unbounded_channel();
    let sent = Sent::default();
    let wire = Wire {
        sent: Arc::clone(&sent),
        out,
    };
    let duplex = Arc::new(Duplex::new(Box::new(wire), settings));
    let reader: Weak<Duplex> = Arc::downgrade(&duplex);
    tokio::spawn(async move {
        while let Some(message) = messages.recv().await {
            for answer in script(&message) {
                let Some(duplex) = reader.upgrade() else {
                    return;
                };
                let _ = duplex.deliver(answer.to_string().as_bytes());
            }
        }
    });
    (duplex, sent)
}

fn result(to: &Value, result: &Value) -> Vec<Value> {
    vec![json!({"jsonrpc": "2.0", "id": to["id"], "result": result})]
}

fn error(to: &Value, code: i64, data: &Value) -> Vec<Value> {
    let error = json!({"code": code, "message": "no", "data": data});
    vec![json!({"jsonrpc": "2.0", "id": to["id"], "error": error})]
}

fn discovery(to: &Value) -> Vec<Value> {
    let said = json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {}}, "instructions": "Be kind.",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "new", "version": "9"}}});
    result(to, &said)
}

fn handshake(to: &Value, version: &str) -> Vec<Value> {
    let said = json!({"protocolVersion": version, "capabilities": {"tools": {}},
        "serverInfo": {"name": "old", "version": "1", "title": "Old"}});
    result(to, &said)
}

/// A server of 2026-07-28 whose other methods are scripted.
fn stateless(
    settings: Settings,
    script: impl Fn(&Value) -> Vec<Value> + Send + 'static,
) -> (Arc<Duplex>, Sent) {
    peer(settings, move |message| match message["method"].as_str() {
        Some("server/discover") => discovery(message),
        _ => script(message),
    })
}

/// A server of 2025-11-25 whose other methods are scripted.
fn legacy(
    settings: Settings,
    script: impl Fn(&Value) -> Vec<Value> + Send + 'static,
) -> (Arc<Duplex>, Sent) {
    peer(settings, move |message| match message["method"].as_str() {
        Some("server/discover") => error(message, -32601, &Value::Null),
        Some("initialize") => handshake(message, "2025-11-25"),
        _ => script(message),
    })
}

fn methods(sent: &Sent) -> Vec<String> {
    let sent = sent.lock().unwrap();
    let method = |message: &Value| message["method"].as_str().unwrap_or("answer").to_owned();
    sent.iter().map(method).collect()
}

fn silence(_: &Value) -> Vec<Value> {
    Vec::new()
}

fn context() -> CallContext {
    CallContext::default()
}

fn tool() -> ToolDefinition {
    ToolDefinition::from_parts("echo", "", &json!({"type": "object"})).unwrap()
}

async fn call(duplex: &Duplex, context: &CallContext) -> Result<ToolOutput, Error> {
    let (tool, arguments) = (tool(), Map::new());
    duplex
        .call_tool(ToolCall::new(&tool, &arguments), context)
        .await
}

fn gone() -> Error {
    Failure::ServerExited {
        status: "exit status: 3".to_owned(),
        stderr: "bad token".to_owned(),
    }
    .into()
}
