//! A small MCP server of our own, in this process or on standard input and output.
//!
//! Over HTTP it speaks 2026-07-28 without sessions and 2025-11-25 with them, demands a bearer token
//! that it issued itself and that does not live long, wants to know the tenant, and offers each
//! user other tools. It remembers what every request carried, so that a test can look.

mod http;
mod protocol;
mod stdio;
mod tokens;
mod tools;

pub use http::{EmbeddedServer, SeenRequest};
pub use stdio::serve_stdio;
pub use tokens::{IssuedToken, TokenIssuer};
