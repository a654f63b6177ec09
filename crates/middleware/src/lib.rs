//! What happens around a tool call.
//!
//! * [`Audit`]: who called what, with which credentials, and how it ended.
//! * [`Timeout`]: a shorter time for some tools.
//! * [`before_call`], [`after_call`], [`around_call`]: your own, out of a closure.
//!
//! Put them on a set or a single tool, the outermost first; the usual order is the one above.

mod audit;
mod closures;
#[cfg(test)]
mod testing;
mod timeout;

pub use audit::{Audit, AuditOutcome, AuditRecord, AuditSink, JsonLines, SinkPolicy};
pub use closures::{AfterCall, AroundCall, BeforeCall, after_call, around_call, before_call};
pub use timeout::Timeout;
