//! MCP tool definitions become agent tools.
//!
//! * [`AgentTool`]: a tool with a name that every model takes, a schema, and
//!   [`call`](AgentTool::call): validated, through the middleware, to the server, and back with a
//!   lossless [`ToolOutput`](mcp_core::ToolOutput). [`AgentTool::from_parts`] makes one by hand.
//! * [`ToolSet`]: the tools of a server, or of several, as one principal sees them.
//! * [`ToolLock`]: definitions written down, to notice what changed and to start without asking.
//! * [`ParamModel`]: the arguments as fields, under the name `MCP_<tool>_Input`.
//! * [`export`]: tools as the APIs of model providers want them declared.
//! * [`Middleware`]: what happens around a call, see also the crate `mcp-middleware`.
//!
//! Definitions, parameter models and compiled schemas are shared by everybody in the process who
//! has a tool with the same definition; what belongs to one principal is a few words per server.
#![forbid(unsafe_code)]

pub mod export;
mod hand_made;
mod lock;
mod middleware;
mod names;
mod panics;
mod param_model;
mod set;
mod shared;
#[cfg(test)]
mod testing;
mod tool;
mod typed;
mod validation;

pub use lock::{ChangedTool, Drift, FieldChange, ToolLock, ToolRef};
pub use middleware::{Course, Flow, Middleware, MiddlewareStack, Next, Reached, ToolInvocation};
pub use param_model::{ParamBounds, ParamField, ParamModel, ParamType};
pub use set::{LoadedServer, ToolSet, ToolSetBuilder};
pub use tool::AgentTool;

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
