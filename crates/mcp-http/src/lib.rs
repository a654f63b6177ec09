//! MCP over HTTP: Streamable HTTP in every protocol version and HTTP+SSE.
//!
//! * [`HttpServer`]: a server behind a URL, as a [`ToolServer`](mcp_core::ToolServer). A call is
//!   one POST in the caller's own task, with the credentials of the caller's principal.
//! * [`HttpClient`]: the guarded client below it: one pool, TLS, deadlines, and a policy on which
//!   addresses may be dialled. Other crates use it too.
//! * `RmcpClient` (feature `rmcp`): the same credentials, limits and policies for an application
//!   that speaks the protocol through `rmcp`.
#![forbid(unsafe_code)]

mod client;
#[cfg(feature = "rmcp")]
mod rmcp_bridge;
mod server;
mod sse;

pub use client::{
    AddressPolicy, AllowedHosts, Handshake, HttpClient, HttpClientBuilder, HttpRequest,
    HttpResponse, HttpUrl, Resolve, SendError, UrlSource,
};
#[cfg(feature = "rmcp")]
pub use rmcp_bridge::RmcpClient;
pub use server::{HttpServer, HttpServerBuilder, TransportChoice};

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
