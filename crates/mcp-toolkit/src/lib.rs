//! Load the tools of MCP servers with the right credentials: the facade over the `mcp-*` crates.
//!
//! [`load_mcp_tools_http`] and [`load_mcp_tools_stdio`] say what to load and with what; awaiting
//! them gives a [`ToolSet`](adapter::ToolSet). [`McpToolkit`] does it for all users of a platform.
//!
//! | feature | gives |
//! |---|---|
//! | `http` | servers behind a URL |
//! | `stdio` | servers as child processes |
//! | `middleware` | audit and more, ready-made |
//! | `cache` | tools kept per server, user and token; [`McpToolkit`] |
//! | `config` | the `mcpServers` file |
//! | `oauth` | MCP authorization: `auth` of type `oauth` in the file |
//!
//! All are on by default. The crates below are re-exported under short names: [`auth`], [`core`],
//! [`adapter`], `http`, `oauth`, `stdio`, `middleware`, `cache`.
#![forbid(unsafe_code)]

#[cfg(feature = "config")]
pub mod config;
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
pub use mcp_auth as auth;
pub use mcp_core as core;
#[cfg(feature = "http")]
pub use mcp_http as http;
#[cfg(feature = "middleware")]
pub use mcp_middleware as middleware;
#[cfg(feature = "oauth")]
pub use mcp_oauth as oauth;
#[cfg(feature = "stdio")]
pub use mcp_stdio as stdio;
#[cfg(feature = "cache")]
pub use mcp_tool_cache as cache;
#[cfg(all(feature = "cache", any(feature = "http", feature = "stdio")))]
pub use toolkit::{
    LogoutError, McpToolkit, McpToolkitBuilder, PrincipalTools, ServerTools, ToolkitServer,
};

/// The README's snippets are compiled with the documentation's.
#[cfg(all(doctest, feature = "cache", feature = "config"))]
#[doc = include_str!("../../../README.md")]
mod readme {}
