//! What a hostile or broken HTTP peer does, and what must hold: threats B to E, a module each.
//! A test's name begins with the row of the list that it answers to.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's panic is its report"
)]

mod begun_anew;
mod bodies;
mod cancellations;
mod changes;
mod consent;
mod credentials;
mod deadlines;
mod dialects;
mod echoes;
mod endings;
mod fairness;
mod harness;
mod input;
mod lost_sessions;
mod messages;
mod not_offered;
mod offers;
mod old_peer;
mod old_streams;
mod open_ends;
mod providers;
mod questions;
mod refusals;
mod rounds;
mod sessions;
mod telemetry;
mod unsent;
