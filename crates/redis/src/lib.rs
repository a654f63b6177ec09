//! What many replicas share, on Redis or Valkey (6.2 or newer).
//!
//! * [`RedisConfig`], [`Redis`]: the connection: one server, Sentinel or Cluster, TLS, ACL user, key
//!   prefix, deadlines and bounds.
//! * [`RedisTokenStore`]: tokens, sealed, and the leases by which one replica refreshes for all.
//! * [`RedisBus`]: what one replica forgets, all forget.
//! * [`RedisCatalog`]: the public lists of tools that one replica asked for, for all.
//! * [`RedisQuota`]: so many calls for each principal, over all replicas.
//!
//! The client below is the crate `redis` 1.x rather than `fred` 10: it is released monthly (fred:
//! last in early 2025) and takes a stream of our making, so that TLS runs on the provider that this
//! workspace names; Cluster and RESP3 are its own, Sentinel and reconnecting are ours and bounded.
#![forbid(unsafe_code)]

mod catalog;
mod config;
mod connection;
mod error;
mod invalidation;
mod quota;
mod store;

pub use catalog::RedisCatalog;
pub use config::RedisConfig;
pub use connection::Redis;
pub use error::{RedisError, RedisErrorKind};
pub use invalidation::RedisBus;
pub use quota::RedisQuota;
pub use store::RedisTokenStore;

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
