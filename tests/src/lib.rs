//! Servers for tests, examples and benches.
pub mod real;
