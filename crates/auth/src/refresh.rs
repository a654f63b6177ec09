//! The one cache of tokens: always fresh, refreshed once, whoever waits.

mod backoff;
mod cell;
mod engine;
mod event;
mod fetch;
mod flight;
mod slot;
#[cfg(test)]
mod tests;
mod token;
mod windows;

pub(crate) use engine::{Engine, Fetch, FetchContext, FetchFuture, Fetched};
pub use event::{CredentialEvent, RefreshReason};
pub use token::RefreshingToken;
pub(crate) use windows::Life;
