//! MCP over any pair of message streams: what stdio and HTTP+SSE have in common.
//!
//! A transport brings a [`Channel`] that sends messages, reads messages itself and hands them to
//! [`Duplex::deliver`], and says so with [`Duplex::close`] when the peer is gone. In return
//! [`Duplex`] finds the version, matches answers with requests, lists and calls tools, answers the
//! server's requests and tells of progress.
//!
//! Nothing here runs in a task of its own: sending happens in the caller's future, receiving in the
//! transport's reader. What a server asks is answered in [`Duplex::answer_requests`], which the
//! transport runs beside its reader, as it runs [`Duplex::listen`]. Every wait ends with the context's
//! deadline, and every map is bounded by [`Limits`](crate::Limits).

mod calls;
mod capabilities;
mod channel;
mod connection;
mod correlator;
mod incoming;
mod input;
mod introduction;
mod listening;
mod negotiation;
mod params;
mod requests;
mod rounds;
#[cfg(test)]
mod tests;

pub use capabilities::Capabilities;
pub use channel::{Channel, Outgoing};
pub use connection::{Duplex, Settings};
pub use input::{Asked, InputHandler, InputRequest, Offer, OpenRequest, declared};
pub use introduction::{Discovery, Handshake};
pub use params::MetaOver;
pub use rounds::{Input, needs_input};
