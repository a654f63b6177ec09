//! TLS: whom the client believes, as whom it appears, and what it says when it does not.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

mod authority;
mod goodbyes;
mod proxy;
mod server;
mod sharing;
mod trust;

use std::time::Duration;

use mcp_core::CallContext;

/// Longer than anything takes that goes well.
const PATIENCE: Duration = Duration::from_secs(10);

fn context() -> CallContext {
    CallContext::default().with_timeout(PATIENCE)
}
