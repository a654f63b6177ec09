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
//! # How many there are
//! A server has at most [`max_children`](StdioServerBuilder::max_children) processes at once, 64
//! unless something else is said, however many principals use it. When there are as many, the one
//! that was idle longest is stopped for whoever comes next; where none is idle, he waits for his turn
//! as long as a start may take.
//!
//! # When the parent dies
//! Whatever ends this process, its children end with it, as far as the system can see to that:
//! - On Linux the kernel kills each child (`PR_SET_PDEATHSIG`) at the moment that this process
//!   ends, be it by `SIGKILL`. A program that gains privileges when it is executed (set-user-ID,
//!   file capabilities) is not killed. What the child itself has started is not killed either: its
//!   pipes to the child close, which tells most programs to leave.
//! - On Windows the job object ends the child and all its descendants.
//! - On macOS and elsewhere the child's standard input closes, which tells every MCP server to leave;
//!   one that ignores this outlives a parent that is killed.
//!
//! So that they can leave by themselves, call [`StdioServer::close_all`] before the process ends.
//! While it lives, a child is ended together with its whole process group.
//!
//! Children are started by one thread that begins with the first of them and never ends, because
//! Linux takes the end of the starting *thread* for that of the parent.

mod builder;
mod connection;
mod environment;
mod guard;
mod lines;
mod outbox;
mod parent_death;
mod places;
mod pool;
mod program;
mod restart;
mod secrets;
mod server;
mod spawner;
mod supervise;
mod tail;
mod tools;

pub use builder::StdioServerBuilder;
pub use connection::Diagnostics;
pub use environment::{EnvPolicy, EnvValue, runs_other_code};
pub use program::ProgramNotFound;
pub use restart::Restart;
pub use server::StdioServer;
pub use tail::NotReady;

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
