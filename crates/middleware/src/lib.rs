//! What happens around a tool call.
//!
//! * [`Audit`]: who called what, with which credentials, and how it ended.
//! * [`Approval`]: ask somebody, or a rule, first.
//! * [`RateLimit`]: so many calls for each principal, here or over all replicas.
//! * [`Timeout`]: a shorter time for some tools.
//! * [`Redact`]: take out of results what the model must not see.
//! * [`Retry`]: again, where that is known to be safe.
//! * [`CircuitBreaker`]: leave a server alone that does not answer.
//! * `tower`, with the feature of that name: `tower`'s layers as middleware, and tools as its services.
//! * [`before_call`], [`after_call`], [`around_call`]: your own, out of a closure.
//!
//! Put them on a set or a single tool, the outermost first; the usual order is the one above.
#![forbid(unsafe_code)]

mod approval;
mod audit;
mod circuit_breaker;
mod closures;
mod duration;
mod rate_limit;
mod redact;
mod retry;
#[cfg(test)]
mod testing;
mod timeout;
#[cfg(feature = "tower")]
pub mod tower;

pub use approval::{Approval, ApprovalRequest, Decision};
pub use audit::{
    Audit, AuditDecision, AuditOutcome, AuditRecord, AuditSink, JsonLines, SinkPolicy,
};
pub use circuit_breaker::CircuitBreaker;
pub use closures::{AfterCall, AroundCall, BeforeCall, after_call, around_call, before_call};
pub use rate_limit::{RateLimit, SharedLimit, WhenAway};
pub use redact::Redact;
pub use retry::Retry;
pub use timeout::Timeout;

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
