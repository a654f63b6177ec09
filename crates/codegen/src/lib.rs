//! Rust types out of a saved catalog of MCP tools.
//!
//! For each tool there are `MCP_<tool>_Input`, the name that its parameter model has everywhere, and
//! `MCP_<tool>_Output` where it promises structured output, to be used with
//! [`AgentTool::call_typed`](mcp_adapter::AgentTool::call_typed). The catalog is what
//! [`ToolSet::lock`](mcp_adapter::ToolSet::lock) wrote.
//!
//! ```
//! let catalog = r#"{"version":1,"servers":[{"id":"github","name":"","server_version":"","tools":[
//!     {"name":"search","inputSchema":{"type":"object","required":["query"],
//!      "properties":{"query":{"type":"string"}}}}]}]}"#;
//! let code = mcp_codegen::generate(&mcp_adapter::ToolLock::from_json(catalog)?)?;
//! assert!(code.contains("pub struct MCP_search_Input"));
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
//! The types say shape, not rules: patterns, bounds and formats stay with the schema, against which
//! every call is validated. The generated code needs `serde` with `derive`, and `serde_json`.

#![forbid(unsafe_code)]

mod generate;
mod model;
mod names;
mod schema;

pub use generate::generate;

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
