//! Load the tools of MCP servers with the right credentials: the facade over the `mcp-*` crates.
//!
//! [`load_mcp_tools_http`] and [`load_mcp_tools_stdio`] say what to load and with what; awaiting
//! them gives a [`ToolSet`]. [`McpToolkit`] does it for all users of a platform.
//!
//! ```no_run
//! use mcp_toolkit::load_mcp_tools_http;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let tools = load_mcp_tools_http("https://mcp.example.com/mcp")
//!     .bearer(std::env::var("MCP_TOKEN")?)
//!     .await?;
//! let output = tools.get("search")?.call(serde_json::json!({ "query": "rust" })).await?;
//! println!("{}", output.text());
//! # Ok(())
//! # }
//! ```
//!
//! **New here? Read the [`guide`]:** one chapter per task, in the order of need.
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `http` | yes | servers behind a URL: [`load_mcp_tools_http`], [`http`] |
//! | `stdio` | yes | servers as child processes: [`load_mcp_tools_stdio`], [`stdio`] |
//! | `middleware` | yes | audit, approval, rate limits and more, ready-made: [`middleware`] |
//! | `cache` | yes | tools kept per server, user and token: [`cache`]; with `http` or `stdio` [`McpToolkit`] |
//! | `config` | yes | the `mcpServers` file: [`config`]; brings `http`, `stdio`, `command` |
//! | `oauth` | yes | MCP authorization: [`oauth`], and `auth` of type `oauth` in the file; brings `http` |
//! | `command` | with `config` | tokens, headers and secrets that a command prints: `auth::CommandToken`, `auth::HeadersHelper`, `auth::SecretRef::command` |
//! | `file` | no | tokens in files that only their owner can read (Unix): `auth::FileStore` |
//! | `keyring` | no | the key of a sealed store in a keyring of the `keyring-core` family: `oauth::SealedStore::with_keyring`; brings `oauth` |
//! | `redis` | no | tokens, invalidation and rate limits that many replicas share, on Redis or Valkey: `redis` |
//! | `rmcp` | no | an application that speaks `rmcp`, through this client: `http::RmcpClient`; brings `http` |
//! | `tower` | no | `tower` layers as middleware, tools as its services: `middleware::tower`; brings `middleware` |
//! | `schema` | no | `schemars::JsonSchema` of the file; [`config::SCHEMA`] is there without it; brings `config` |
//! | `test-util` | no | what a provider or a store of your own is tested with: `auth::testing` |
//!
//! With `default-features = false` nothing but [`auth`], [`core`] and [`adapter`] is there: tools
//! made by hand, and traits to implement. TLS is rustls on ring, with the system's authorities and
//! the web's; there is no feature to choose another, authorities of your own are given to
//! [`HttpClientBuilder::root_certificates`](http::HttpClientBuilder::root_certificates).
//!
//! # The crates below
//! They are re-exported under short names: [`auth`], [`core`], [`adapter`], [`http`], [`oauth`],
//! [`stdio`], [`middleware`], [`cache`], `redis`. Each can be used alone; what is re-exported here by name
//! is what the signatures of this crate are made of.
#![forbid(unsafe_code)]

#[cfg(feature = "config")]
pub mod config;
#[cfg(all(
    feature = "cache",
    feature = "config",
    feature = "middleware",
    feature = "oauth"
))]
pub mod guide;
#[cfg(feature = "http")]
mod load_http;
#[cfg(feature = "stdio")]
mod load_stdio;
#[cfg(any(feature = "http", feature = "stdio"))]
mod loading;
#[cfg(feature = "http")]
mod shared_client;
#[cfg(all(feature = "cache", any(feature = "http", feature = "stdio")))]
mod toolkit;

#[cfg(feature = "http")]
pub use load_http::{HttpLoader, load_mcp_tools_http};
#[cfg(feature = "stdio")]
pub use load_stdio::{StdioLoader, load_mcp_tools_stdio};
pub use mcp_adapter as adapter;
pub use mcp_adapter::{AgentTool, ToolSet};
pub use mcp_auth as auth;
pub use mcp_core as core;
pub use mcp_core::{
    CallContext, Error, ErrorKind, Failure, Limits, Principal, ServerId, ToolOutput,
};
#[cfg(feature = "http")]
pub use mcp_http as http;
#[cfg(feature = "middleware")]
pub use mcp_middleware as middleware;
#[cfg(feature = "oauth")]
pub use mcp_oauth as oauth;
#[cfg(feature = "redis")]
pub use mcp_redis as redis;
#[cfg(feature = "stdio")]
pub use mcp_stdio as stdio;
#[cfg(feature = "cache")]
pub use mcp_tool_cache as cache;
#[cfg(all(feature = "cache", any(feature = "http", feature = "stdio")))]
pub use toolkit::{
    LogoutError, McpToolkit, McpToolkitBuilder, PrincipalTools, ServerTools, ToolkitServer,
};

/// This crate's README, whose examples are compiled with the documentation's.
#[cfg(all(doctest, feature = "cache", feature = "http"))]
#[doc = include_str!("../README.md")]
mod readme {}
