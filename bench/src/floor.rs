//! The floor: a hyper client that posts a ready-made body and reads the envelope of the answer.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cell::Caller;

const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"weather","arguments":{"city":"Zurich","days":3,"units":"metric"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"mcp-toolkit","version":"0.1.0"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
const LIST: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"mcp-toolkit","version":"0.1.0"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// Calls with nothing around them.
pub(crate) struct Floor {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    events: bool,
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
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            events: url.ends_with("/sse"),
            url,
        }
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
        let response = self.client.request(request).await?;
        ensure!(response.status().is_success(), "{}", response.status());
        Ok(response.into_body().collect().await?.to_bytes())
    }
}

impl Caller for Floor {
    async fn call(&self) -> Result<()> {
        let body = self.post(CALL, "tools/call").await?;
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
