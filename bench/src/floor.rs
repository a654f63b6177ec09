//! The floor: a hyper client that posts a ready-made body and reads the envelope of the answer; and
//! what is below it, one connection without a client.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::cell::Caller;

const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"weather","arguments":{"city":"Zurich","days":3,"units":"metric"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"mcp-toolkit","version":"0.1.0"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
const LIST: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"mcp-toolkit","version":"0.1.0"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// How long a call may take where it has a deadline; never as long.
const DEADLINE: Duration = Duration::from_secs(60);

/// Calls with nothing around them.
pub(crate) struct Floor {
    way: Way,
    url: String,
    events: bool,
    /// Whether each call ends in time at the latest.
    bounded: bool,
}

/// How a request goes out.
enum Way {
    /// Through hyper-util's client, which keeps connections.
    Pooled(Box<Client<HttpConnector, Full<Bytes>>>),
    /// On the one connection that there is: what no client that serves more than one caller can do.
    Bare {
        connection: Mutex<http1::SendRequest<Full<Bytes>>>,
        host: String,
    },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: u64,
    #[serde(borrow)]
    result: &'a RawValue,
}

impl Floor {
    pub(crate) fn new(url: String) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self {
            way: Way::Pooled(Box::new(client)),
            events: url.ends_with("/sse"),
            url,
            bounded: false,
        }
    }

    /// The same on a connection without a client around it.
    pub(crate) async fn bare(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("http://").context("no HTTP URL")?;
        let (host, path) = rest.split_once('/').context("no path")?;
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            way: Way::Bare {
                connection: Mutex::new(sender),
                host: host.to_owned(),
            },
            events: path == "sse",
            url: format!("/{path}"),
            bounded: false,
        })
    }

    /// With a deadline for each call, as nobody goes without outside of a benchmark.
    pub(crate) fn bounded(mut self) -> Self {
        self.bounded = true;
        self
    }

    /// Asks for the list; the answer's bytes.
    pub(crate) async fn list(&self) -> Result<Bytes> {
        self.post(LIST, "tools/list").await
    }

    /// The least that a request of 2026-07-28 must have.
    async fn post(&self, body: &'static [u8], method: &'static str) -> Result<Bytes> {
        let request = Request::post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("authorization", "Bearer test-token-alice")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method)
            .header("mcp-name", "weather")
            .body(Full::new(Bytes::from_static(body)))?;
        let response = self.send(request).await?;
        ensure!(response.status().is_success(), "{}", response.status());
        Ok(response.into_body().collect().await?.to_bytes())
    }

    async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        match &self.way {
            Way::Pooled(client) => Ok(client.request(request).await?),
            Way::Bare { connection, host } => {
                request.headers_mut().insert(HOST, host.parse()?);
                let mut connection = connection.lock().await;
                connection.ready().await?;
                Ok(connection.send_request(request).await?)
            }
        }
    }
}

impl Caller for Floor {
    async fn call(&self) -> Result<()> {
        let posted = self.post(CALL, "tools/call");
        let body = if self.bounded {
            tokio::time::timeout(DEADLINE, posted).await??
        } else {
            posted.await?
        };
        let mut text: &[u8] = &body;
        if self.events {
            let data = b"data: ";
            let start = memchr::memmem::find(text, data).context("no data")? + data.len();
            text = text.get(start..).unwrap_or_default();
            let end = memchr::memchr(b'\n', text).context("no end of data")?;
            text = text.get(..end).unwrap_or_default();
        }
        let envelope: Envelope<'_> = serde_json::from_slice(text)?;
        ensure!(envelope.id == 1 && envelope.result.get().starts_with('{'));
        Ok(())
    }
}
