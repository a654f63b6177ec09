//! MCP over HTTP: Streamable HTTP in every protocol version and HTTP+SSE.
//!
//! * [`HttpServer`]: a server behind a URL, as a [`ToolServer`](mcp_core::ToolServer). A call is
//!   one POST in the caller's own task, with the credentials of the caller's principal.
//! * [`HttpClient`]: the guarded client below it: one pool, TLS, deadlines, and a policy on which
//!   addresses may be dialled. Other crates use it too.

mod client;
mod server;
mod sse;

pub use client::{
    AddressPolicy, HttpClient, HttpClientBuilder, HttpRequest, HttpResponse, HttpUrl, Resolve,
    SendError, UrlSource,
};
pub use server::{HttpServer, HttpServerBuilder, TransportChoice};
