//! Real MCP servers, other people's programs, started for one test.
//!
//! `cargo xtask servers` installs them, pinned, under `target/servers`; without it
//! everything here panics with that advice, because a test that passes without its
//! server proves nothing.
//!
//! A started server listens on loopback, on a port that the kernel picked, answers
//! before the constructor returns (which blocks, for at most 30 s), is killed with all
//! its children when the value is dropped, and ends by itself when the test's process
//! dies. A test that uses one lives in a binary or a module called `real…`, which is
//! how the test runner knows to give it more time and few neighbours.

mod everything;
mod fastmcp;
mod filesystem;
mod install;
mod jwt;
mod oauth;
mod tethered;

pub use everything::{EverythingServer, everything_stdio};
pub use fastmcp::{FastMcpServer, fastmcp_stdio};
pub use filesystem::filesystem_stdio;
pub use jwt::Jwt;
pub use oauth::{FastMcpOAuthServer, OidcProvider, SigningPair};
