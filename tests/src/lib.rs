//! Servers for tests, examples and benches.
#![forbid(unsafe_code)]

mod closed;
pub mod embedded;
pub mod fault;
mod group;
pub mod oauth;
pub mod real;
#[cfg(unix)]
pub mod redis;
mod report;

pub use closed::ClosedPort;
pub use report::shown;

/// The project's README: its examples are compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
