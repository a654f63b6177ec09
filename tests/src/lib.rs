//! Servers for tests, examples and benches.
pub mod embedded;
pub mod fault;
pub mod oauth;
pub mod real;
