//! What a trace says of a request (OpenTelemetry's semantic conventions for MCP).

use mcp_core::{Error, Failure};
use tracing::Span;
use tracing::field::Empty;

use super::Inner;
use super::era::Era;
use super::rpc::Rpc;

impl Inner {
    /// A span for one request; nothing when nobody listens.
    pub(super) fn span(&self, rpc: &Rpc<'_>) -> Span {
        let version = match self.finder.known() {
            Some(Era::Stateless(version)) => Some(version.as_str()),
            _ => self.protocol.map(mcp_core::ProtocolVersion::as_str),
        };
        tracing::info_span!(
            target: "mcp_http",
            "mcp.client",
            otel.kind = "client",
            mcp.method.name = rpc.method,
            mcp.server = self.id.as_str(),
            mcp.protocol.version = version,
            gen_ai.tool.name = rpc.tool(),
            network.transport = "tcp",
            server.address = self.url.host(),
            server.port = self.url.port(),
            error.r#type = Empty,
            rpc.response.status_code = Empty,
            http.response.status_code = Empty,
        )
    }
}

/// Tells the current span how the request failed.
pub(super) fn record_error(error: &Error) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    span.record("error.type", error.kind().as_str());
    match error.failure() {
        Failure::Rpc { code, .. } => {
            span.record("rpc.response.status_code", *code);
        }
        Failure::HttpStatus { status, .. } => {
            span.record("http.response.status_code", *status);
        }
        _ => {}
    }
}
