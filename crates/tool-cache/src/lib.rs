//! Loaded MCP tools per server, user and token, with a TTL.
//!
//! Listing the tools of a server takes a round trip or several; a platform that builds an agent per
//! request wants it once per user and token. [`ToolCache`] keeps the sets, under a structured
//! [`CacheKey`], and gives each caller a set that is bound the way the caller's builder binds: with
//! the caller's server handle, principal and middleware, never with those of whoever loaded it.
//!
//! ```
//! # use std::sync::Arc;
//! # use mcp_core::{*, auth::Credentials};
//! # #[derive(Debug)]
//! # struct Server(ServerId);
//! # impl ToolServer for Server {
//! #     fn id(&self) -> &ServerId { &self.0 }
//! #     fn transport(&self) -> Transport { Transport::Local }
//! #     fn list_tools<'a>(&'a self, _: &'a CallContext) -> BoxFuture<'a, Result<ToolListing, Error>> {
//! #         Box::pin(async { Ok(ToolListing::new(ServerInfo::default())) })
//! #     }
//! #     fn call_tool<'a>(&'a self, _: ToolCall<'a>, _: &'a CallContext)
//! #         -> BoxFuture<'a, Result<ToolOutput, Error>> {
//! #         Box::pin(async { Ok("".into()) })
//! #     }
//! # }
//! use mcp_adapter::ToolSet;
//! use mcp_tool_cache::ToolCache;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! # let server: Arc<dyn ToolServer> = Arc::new(Server(ServerId::new("github")?));
//! let cache = ToolCache::new();
//! let alice = Principal::new("alice")?;
//! let builder = ToolSet::builder(server).principal(alice.clone());
//! let credentials = Credentials::bearer("test-token-alice")?;
//! let context = CallContext::new(alice.clone());
//!
//! let tools = cache.get_or_load(&builder, &credentials, &context).await?;
//! let again = cache.get_or_load(&builder, &credentials, &context).await?;
//! assert_eq!((cache.stats().loads, cache.stats().hits), (1, 1));
//!
//! cache.invalidate_principal(&alice).await; // at logout
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod builder;
mod cache;
mod catalog;
mod drift;
mod entry;
mod epochs;
mod flights;
mod key;
mod mode;
mod refreshes;
mod replicas;
mod stats;
mod store;
mod watch;

pub use builder::ToolCacheBuilder;
pub use cache::ToolCache;
pub use key::CacheKey;
pub use mode::CacheMode;
pub use stats::CacheStats;
pub use watch::CacheWatch;

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
