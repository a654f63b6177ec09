//! Servers for tests, examples and benches.
#![forbid(unsafe_code)]

pub mod embedded;
pub mod fault;
pub mod oauth;
pub mod real;
