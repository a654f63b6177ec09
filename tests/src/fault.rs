//! A server that does what a script says, down to the byte: for every way an HTTP peer can fail.
//!
//! A script is an async closure from a [`Request`] and the [`Wire`] it came on to the wire again,
//! for the next request, or `None` when the connection is done. [`Wire::modern`] and
//! [`Wire::session`] answer as well-behaved servers do, so that a script says only what is odd.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Script =
    Arc<dyn Fn(Request, Wire) -> Pin<Box<dyn Future<Output = Option<Wire>> + Send>> + Send + Sync>;

/// A scripted server on loopback. Dropping it closes every connection.
#[derive(Debug)]
pub struct FaultServer {
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    _accepting: JoinSet<()>,
}

impl FaultServer {
    /// Starts a server that answers every request by the script.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn start<F, W>(script: F) -> Self
    where
        F: Fn(Request, Wire) -> W + Send + Sync + 'static,
        W: Future<Output = Option<Wire>> + Send + 'static,
    {
        Self::start_at(0, script).await
    }

    /// Starts one that does nothing odd: it answers as [`Wire::modern`] does.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn modern() -> Self {
        Self::start(|request, mut wire| async move { wire.modern(&request).await.then_some(wire) })
            .await
    }

    /// Starts one at a port that another one had before, as a server that was restarted.
    ///
    /// # Panics
    /// When the port cannot be had.
    pub async fn start_at<F, W>(port: u16, script: F) -> Self
    where
        F: Fn(Request, Wire) -> W + Send + Sync + 'static,
        W: Future<Output = Option<Wire>> + Send + 'static,
    {
        #[expect(clippy::panic, reason = "there is no test without a port")]
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .unwrap_or_else(|error| panic!("no port: {error}"));
        let port = listener
            .local_addr()
            .map(|it| it.port())
            .unwrap_or_default();
        let script: Script = Arc::new(move |request, wire| Box::pin(script(request, wire)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut accepting = JoinSet::new();
        let seen_by_connections = Arc::clone(&seen);
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen_by_connections));
                connections.spawn(serve(stream, script, seen));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            port,
            seen,
            _accepting: accepting,
        }
    }

    /// The URL that a client is given.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every request so far, in the order they came.
    pub fn seen(&self) -> Vec<Request> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Forgets the requests so far: they would fill memory in a long run.
    pub fn forget(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Vec::new();
    }

    /// How many requests of a JSON-RPC method came.
    pub fn count(&self, method: &str) -> usize {
        let seen = self.seen();
        seen.iter().filter(|it| it.rpc_method() == method).count()
    }
}

async fn serve(stream: TcpStream, script: Script, seen: Arc<Mutex<Vec<Request>>>) {
    let _ = stream.set_nodelay(true);
    let mut wire = Wire {
        stream,
        ahead: Vec::new(),
    };
    while let Some(request) = wire.request().await {
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request.clone());
        match script(request, wire).await {
            Some(next) => wire = next,
            None => return,
        }
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// `POST`, `GET`, `DELETE`.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The JSON-RPC method; empty when there is none.
    pub fn rpc_method(&self) -> String {
        let json = self.json();
        json["method"].as_str().unwrap_or_default().to_owned()
    }

    /// The JSON-RPC id.
    pub fn id(&self) -> Value {
        self.json()["id"].clone()
    }

    /// A response to it, as text.
    pub fn result(&self, result: &Value) -> String {
        json!({"jsonrpc": "2.0", "id": self.id(), "result": result}).to_string()
    }

    /// What a tool says, as a response to its call.
    pub fn text(&self, text: &str) -> String {
        self.result(&json!({"content": [{"type": "text", "text": text}]}))
    }

    /// An error response to it, as text.
    pub fn error(&self, code: i64, message: &str) -> String {
        let error = json!({"code": code, "message": message});
        json!({"jsonrpc": "2.0", "id": self.id(), "error": error}).to_string()
    }
}

/// A connection, written to byte by byte.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Wire {
    /// Writes bytes as they are. `false` when the client has gone.
    pub async fn raw(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Writes a whole response.
    pub async fn respond(&mut self, status: u16, headers: &[(&str, &str)], body: &str) -> bool {
        let mut head = format!(
            "HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        self.raw(format!("{head}\r\n{body}")).await
    }

    /// Writes a JSON response with status 200.
    pub async fn json(&mut self, body: &str) -> bool {
        self.json_with(200, body).await
    }

    /// Writes a JSON response with another status.
    pub async fn json_with(&mut self, status: u16, body: &str) -> bool {
        self.respond(status, &[("Content-Type", "application/json")], body)
            .await
    }

    /// Begins an event stream that ends with the connection.
    pub async fn events(&mut self, headers: &str) -> bool {
        self.raw(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n{headers}\r\n"
        ))
        .await
    }

    /// Writes an event of the default type.
    pub async fn event(&mut self, data: &str) -> bool {
        self.raw(format!("data: {data}\n\n")).await
    }

    /// Waits until the client has closed the connection.
    pub async fn closed(&mut self) {
        let mut rest = [0; 1024];
        while matches!(self.stream.read(&mut rest).await, Ok(read) if read > 0) {}
    }

    /// Answers as a well-behaved server of 2026-07-28 with the tool `echo`.
    pub async fn modern(&mut self, request: &Request) -> bool {
        let result = match request.rpc_method().as_str() {
            "server/discover" => json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}}, "ttlMs": 60_000, "cacheScope": "public",
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "faulty", "version": "1"}},
            }),
            other => common(other),
        };
        self.json(&request.result(&result)).await
    }

    /// Answers as a well-behaved server of 2025-11-25 with sessions and the tool `echo`; anything
    /// before `initialize` gets 400. `session` is the id of the session it opens.
    pub async fn session(&mut self, request: &Request, session: &str) -> bool {
        let headers = [
            ("Content-Type", "application/json"),
            ("Mcp-Session-Id", session),
        ];
        match (request.method.as_str(), request.rpc_method().as_str()) {
            ("DELETE", _) => self.respond(200, &[], "").await,
            (_, "initialize") => {
                let result = json!({
                    "protocolVersion": "2025-11-25",
                    "capabilities": {"tools": {}, "resources": {}, "prompts": {}},
                    "serverInfo": {"name": "faulty", "version": "1"},
                });
                self.respond(200, &headers, &request.result(&result)).await
            }
            ("POST", _) if request.header("mcp-session-id").is_none() => {
                let body = json!({"jsonrpc": "2.0", "id": null,
                    "error": {"code": -32000, "message": "Bad Request: Server not initialized"}});
                self.respond(400, &headers[..1], &body.to_string()).await
            }
            _ if request.id().is_null() => self.respond(202, &[], "").await,
            (_, other) => self.json(&request.result(&common(other))).await,
        }
    }

    /// The next request; `None` when the client is done.
    async fn request(&mut self) -> Option<Request> {
        let head_ends = loop {
            if let Some(at) = self.ahead.windows(4).position(|it| it == b"\r\n\r\n") {
                break at;
            }
            self.read_more().await?;
        };
        let head = String::from_utf8_lossy(self.ahead.get(..head_ends)?).into_owned();
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut lengths = headers.iter().filter(|(name, _)| name == "content-length");
        let length: usize = match lengths.next() {
            Some((_, length)) => length.parse().ok()?,
            None => 0,
        };
        while self.ahead.len() < head_ends + 4 + length {
            self.read_more().await?;
        }
        let rest = self.ahead.split_off(head_ends + 4 + length);
        let body = self.ahead.split_off(head_ends + 4);
        self.ahead = rest;
        Some(Request {
            method,
            path,
            headers,
            body,
        })
    }

    async fn read_more(&mut self) -> Option<()> {
        let mut chunk = vec![0; 16 * 1024];
        let read = self
            .stream
            .read(&mut chunk)
            .await
            .ok()
            .filter(|&it| it > 0)?;
        self.ahead.extend_from_slice(chunk.get(..read)?);
        Some(())
    }
}

fn common(method: &str) -> Value {
    match method {
        "tools/list" => json!({"resultType": "complete",
            "tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}),
        "tools/call" => json!({"resultType": "complete",
            "content": [{"type": "text", "text": "done"}]}),
        _ => json!({"resultType": "complete"}),
    }
}
