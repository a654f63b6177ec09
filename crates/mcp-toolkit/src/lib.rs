//! Load the tools of MCP servers with the right credentials: the facade over the mcp-* crates.

pub mod config;
