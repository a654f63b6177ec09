//! What many replicas share, on Redis or Valkey.
//!
//! The client below is the crate `redis` 1.x rather than `fred` 10: it is released monthly (fred:
//! last in early 2025), takes a stream of our making, so TLS runs on the provider that this workspace
//! names, and has Cluster and RESP3 subscriptions; reconnecting and Sentinel are ours, in bounds.
#![forbid(unsafe_code)]

mod config;
mod connection;
mod error;

pub use config::RedisConfig;
pub use connection::Redis;
pub use error::{RedisError, RedisErrorKind};
