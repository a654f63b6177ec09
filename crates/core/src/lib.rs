//! What every MCP transport has in common.
//!
//! * [`ToolServer`]: one trait, every transport: list the tools, call one.
//! * [`ServerOffers`]: what servers offer besides tools: resources, prompts, completion.
//! * [`ToolDefinition`]: a tool as its server sent it, schemas kept as text.
//! * [`ToolOutput`]: what a tool answered, with nothing lost.
//! * [`CallContext`]: for whom, until when, and how to stop.
//! * [`Error`]: what went wrong, by what the caller can do about it.
//! * [`Limits`]: every bound, in one place.
//! * [`wire`]: JSON-RPC as MCP writes it, for transports.
//! * [`duplex`]: MCP over a pair of message streams, for transports.
//! * [`replicas`]: what several processes tell each other: what to forget, how many calls there were.
//!
//! [`model`] is `rmcp`'s model: the vocabulary of content and annotations.
#![forbid(unsafe_code)]

mod context;
mod definition;
pub mod duplex;
mod error;
mod header_params;
mod limits;
mod listing;
mod offers;
mod output;
pub mod replicas;
mod server;
#[cfg(feature = "test-util")]
pub mod testing;
mod version;
pub mod wire;

pub use context::{
    CallContext, CallReport, ProgressHandler, ProgressUpdate, TraceContext, TraceSource,
};
pub use definition::{InvalidDefinition, ToolDefinition};
pub use error::{ArgumentProblem, Error, ErrorKind, Failure};
pub use header_params::HeaderParams;
pub use limits::Limits;
pub use listing::{CacheScope, ServerInfo, SkippedTool, ToolListing, Transport};
pub use mcp_auth as auth;
pub use mcp_auth::{Principal, ServerId};
pub use offers::ServerOffers;
pub use output::{Content, ToolOutput};
pub use rmcp::model;
pub use server::{BoxFuture, ToolCall, ToolServer};
pub use version::ProtocolVersion;

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
