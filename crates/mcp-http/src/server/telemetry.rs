//! What a trace says of a request (OpenTelemetry's semantic conventions for MCP).

use std::fmt;

use mcp_core::{Error, Failure, ProtocolVersion, ToolOutput};
use tracing::Span;
use tracing::field::{Empty, display};

use super::Inner;
use super::era::Era;
use super::rpc::Rpc;

/// The span's name: the method, and the tool that it is about.
struct Name<'a>(&'a Rpc<'a>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.method)?;
        match self.0.tool() {
            Some(tool) => write!(f, " {tool}"),
            None => Ok(()),
        }
    }
}

impl Inner {
    /// A span for one request; nothing when nobody listens.
    pub(super) fn span(&self, rpc: &Rpc<'_>) -> Span {
        // Asked for only where somebody listens.
        let version = || match self.finder.known() {
            Some(Era::Stateless(version)) => Some(version.as_str()),
            _ => self.protocol.map(ProtocolVersion::as_str),
        };
        tracing::info_span!(
            target: "mcp_http",
            "mcp.client",
            otel.kind = "client",
            otel.name = %Name(rpc),
            rpc.system = "jsonrpc",
            mcp.method.name = rpc.method,
            mcp.server = self.id.as_str(),
            mcp.protocol.version = version(),
            gen_ai.tool.name = rpc.tool(),
            gen_ai.operation.name = rpc.tool().map(|_| "execute_tool"),
            network.transport = "tcp",
            server.address = self.url.host(),
            server.port = self.url.port(),
            error.r#type = Empty,
            rpc.response.status_code = Empty,
            http.response.status_code = Empty,
        )
    }
}

/// Tells the current span which version was found.
pub(super) fn record_version(version: ProtocolVersion) {
    let span = Span::current();
    if !span.is_disabled() {
        span.record("mcp.protocol.version", version.as_str());
    }
}

/// Tells the current span that a tool reported failure.
pub(super) fn record_output(output: &ToolOutput) {
    let span = Span::current();
    if !span.is_disabled() && output.is_error() {
        span.record("error.type", "tool_error");
    }
}

/// Tells the current span how the request failed.
pub(super) fn record_error(error: &Error) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    if let Failure::Rpc { code, .. } = error.failure() {
        span.record("error.type", display(code));
        span.record("rpc.response.status_code", display(code));
        return;
    }
    span.record("error.type", error.kind().as_str());
    if let Failure::HttpStatus { status, .. } = error.failure() {
        span.record("http.response.status_code", *status);
    }
}
