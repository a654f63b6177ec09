//! How to do what, one chapter per task.
//!
//! | you have | read |
//! |---|---|
//! | a server and a token | [`bearer`] |
//! | other headers, a trace id | [`headers`] |
//! | tokens that end | [`short_lived_tokens`] |
//! | a vault, an identity service, a token library of your own | [`own_provider`] |
//! | a program that speaks MCP on its standard input and output | [`stdio`] |
//! | many users, many servers | [`tenants`] |
//! | rules, audit, limits around each call | [`auditing`] |
//! | a list that is asked for too often | [`caching`] |
//! | a server that wants users to log in | [`oauth`] |
//! | tokens that must not be worth stealing, workloads without secrets | [`dpop`] |
//! | an `mcp.json` | [`config_file`] |
//! | an error | [`errors`] |
//! | something that does not work | [`troubleshooting`] |
//! | more than one machine | [`replicas`] |
//!
//! # First steps
//!
//! ```toml
//! [dependencies]
//! mcp-toolkit = "0.1"
//! serde_json = "1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! ```
//!
//! ```no_run
//! use mcp_toolkit::load_mcp_tools_http;
//! use serde_json::json;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), mcp_toolkit::Error> {
//!     let tools = load_mcp_tools_http("https://mcp.example.com/mcp").await?;
//!     for tool in tools.iter() {
//!         println!("{}: {}", tool.name(), tool.description().unwrap_or("no description"));
//!     }
//!     let output = tools.get("search")?.call(json!({ "query": "rust" })).await?;
//!     println!("{}", output.text());
//!     Ok(())
//! }
//! ```
//!
//! A [`ToolSet`](crate::ToolSet) is what a server offers one user, a [`AgentTool`](crate::AgentTool)
//! one tool of it. Both are cheap to clone and bound to the user they were loaded for. What a model
//! provider's API wants to be told of tools is made by [`adapter::export`](crate::adapter::export).
//!
//! [`AgentTool::call`](crate::AgentTool::call) checks the arguments against the tool's schema before
//! anything is sent. A tool that says that it failed has answered: that is an output with
//! [`is_error`](crate::ToolOutput::is_error), for the model to read. `Err` is for you:
//!
//! ```
//! use mcp_toolkit::{AgentTool, Error, ErrorKind, ToolOutput};
//! use serde_json::{Value, json};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! // A tool of this program's own looks like a server's.
//! let schema = json!({ "type": "object", "required": ["city"],
//!                      "properties": { "city": { "type": "string" } } });
//! let weather = AgentTool::from_parts("weather", "Tells the weather", &schema, |args: Value| async move {
//!     Ok(match args["city"].as_str() {
//!         Some("Oslo") => ToolOutput::from("rain"),
//!         _ => ToolOutput::error("no such city"),
//!     })
//! })?;
//! assert_eq!(weather.call(json!({ "city": "Oslo" })).await?.text(), "rain");
//! assert!(weather.call(json!({ "city": "Atlantis" })).await?.is_error());
//! let refused = weather.call(json!({ "town": "Oslo" })).await;
//! assert_eq!(refused.map_err(|error| error.kind()).err(), Some(ErrorKind::InvalidArguments));
//! # Ok(())
//! # }
//! ```
//!
//! A load and a call have 30 seconds each, everything included. Dropping the future cancels the call,
//! at the server too where the protocol allows; one call's own deadline, cancellation token, trace
//! and progress go with [`AgentTool::call_with`](crate::AgentTool::call_with).

pub mod auditing {
    #![doc = include_str!("guide/auditing.md")]
}
pub mod bearer {
    #![doc = include_str!("guide/bearer.md")]
}
pub mod caching {
    #![doc = include_str!("guide/caching.md")]
}
pub mod config_file {
    #![doc = include_str!("guide/config_file.md")]
}
pub mod dpop {
    #![doc = include_str!("guide/dpop.md")]
}
pub mod errors {
    #![doc = include_str!("guide/errors.md")]
}
pub mod headers {
    #![doc = include_str!("guide/headers.md")]
}
pub mod oauth {
    #![doc = include_str!("guide/oauth.md")]
}
pub mod own_provider {
    #![doc = include_str!("guide/own_provider.md")]
}
pub mod replicas {
    #![doc = include_str!("guide/replicas.md")]
}
pub mod short_lived_tokens {
    #![doc = include_str!("guide/short_lived_tokens.md")]
}
pub mod stdio {
    #![doc = include_str!("guide/stdio.md")]
}
pub mod tenants {
    #![doc = include_str!("guide/tenants.md")]
}
pub mod troubleshooting {
    #![doc = include_str!("guide/troubleshooting.md")]
}
