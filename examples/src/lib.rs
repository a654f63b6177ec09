//! What the examples share: how they say what happens.
#![forbid(unsafe_code)]

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

/// Prints the audit events of tool calls, and nothing else that is logged.
pub fn print_audit_events() {
    let events = fmt::layer()
        .without_time()
        .with_target(false)
        .with_level(false)
        .with_ansi(false)
        .with_writer(std::io::stdout)
        .with_filter(Targets::new().with_target("mcp_middleware::audit", LevelFilter::INFO));
    tracing_subscriber::registry().with(events).init();
}
