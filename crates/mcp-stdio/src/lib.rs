//! MCP over a child process: environment policy, process group, stderr, exit.
//!
//! [`StdioServer`] is a [`ToolServer`](mcp_core::ToolServer) whose server is a program started
//! here. It gives the program only the environment it should have ([`EnvPolicy`]), each principal a
//! child of its own, says why a child failed (exit status and the end of its standard error), and
//! leaves no process behind.
//!
//! ```no_run
//! use mcp_core::{CallContext, ToolServer};
//! use mcp_stdio::StdioServer;
//!
//! # async fn run() -> Result<(), mcp_core::Error> {
//! let server = StdioServer::builder("npx")
//!     .args(["-y", "@example/notes-server"])
//!     .env("NOTES_TOKEN", "test-token-alice")
//!     .build()?;
//! let listing = server.list_tools(&CallContext::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # When the parent dies
//! Whatever ends this process closes the child's standard input, which tells every MCP server to
//! leave. On Windows the job object ends the child and its descendants as well. On Linux and macOS a
//! child that ignores the end of its input outlives a parent that is killed with `SIGKILL`: the
//! parent-death signal of Linux can be set only by code that runs between `fork` and `exec`, which
//! this crate, being free of `unsafe`, has none of.

mod builder;
mod connection;
mod environment;
mod guard;
mod lines;
mod outbox;
mod pool;
mod program;
mod restart;
mod secrets;
mod server;
mod supervise;
mod tail;

pub use builder::StdioServerBuilder;
pub use connection::Diagnostics;
pub use environment::{EnvPolicy, EnvValue};
pub use program::ProgramNotFound;
pub use restart::Restart;
pub use server::StdioServer;
