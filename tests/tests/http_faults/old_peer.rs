//! A well-behaved server of 2024-11-05 (HTTP+SSE), so that a test says only what is odd.

use std::sync::{Arc, Mutex};

use mcp_http::{HttpServer, HttpServerBuilder, TransportChoice};
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Its open streams: what is posted to a stream's endpoint is answered on that stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct OldPeer(Arc<Mutex<Vec<mpsc::UnboundedSender<Option<String>>>>>);

pub(crate) fn old(server: &FaultServer) -> HttpServerBuilder {
    HttpServer::builder(server.url()).transport(TransportChoice::Sse)
}

impl OldPeer {
    /// Does what such a server does with a request.
    pub(crate) async fn serve(&self, request: Request, mut wire: Wire) -> Option<Wire> {
        if request.method == "GET" {
            return self.open(wire).await;
        }
        let result = match request.rpc_method().as_str() {
            "server/discover" => {
                self.say(&request, request.error(-32601, "Method not found"));
                Value::Null
            }
            "initialize" => json!({"protocolVersion": "2024-11-05",
                "capabilities": {"tools": {}}, "serverInfo": {"name": "old", "version": "1"}}),
            "tools/list" => json!({"tools": [{"name": "echo", "inputSchema": {}}]}),
            "tools/call" => json!({"content": [{"type": "text", "text": "done"}]}),
            _ => Value::Null,
        };
        if !result.is_null() {
            self.say(&request, request.result(&result));
        }
        self.accept(&mut wire).await.then_some(wire)
    }

    /// Accepts what was posted; the answer comes on the stream, or never.
    pub(crate) async fn accept(&self, wire: &mut Wire) -> bool {
        wire.respond(202, &[], "Accepted").await
    }

    /// Ends the stream that a request belongs to.
    pub(crate) fn end(&self, request: &Request) {
        self.send(request, None);
    }

    /// Says something on the stream that a request belongs to.
    pub(crate) fn say(&self, request: &Request, message: String) {
        self.send(request, Some(message));
    }

    /// How many streams were opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn send(&self, request: &Request, message: Option<String>) {
        let (_, stream) = request.path.split_once("?s=").unwrap();
        let stream: usize = stream.parse().unwrap();
        // Nobody reads what is said on a stream that has ended.
        let _ = self.0.lock().unwrap()[stream].send(message);
    }

    async fn open(&self, mut wire: Wire) -> Option<Wire> {
        let (sender, mut messages) = mpsc::unbounded_channel();
        let number = {
            let mut streams = self.0.lock().unwrap();
            streams.push(sender);
            streams.len() - 1
        };
        wire.events("").await;
        wire.raw(format!("event: endpoint\ndata: /message?s={number}\n\n"))
            .await;
        while let Some(Some(message)) = messages.recv().await {
            wire.event(&message).await;
        }
        None
    }
}
