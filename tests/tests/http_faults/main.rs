//! What a hostile or broken HTTP peer does, and what must hold: threats B to E, a module each.
//! A test's name begins with the row of the list that it answers to.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's panic is its report"
)]

mod bodies;
mod changes;
mod credentials;
mod dialects;
mod endings;
mod fairness;
mod harness;
mod lost_sessions;
mod messages;
mod offers;
mod old_streams;
mod providers;
mod questions;
mod refusals;
mod sessions;
mod telemetry;
