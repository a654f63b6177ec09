//! Servers for tests, examples and benches.
pub mod embedded;
pub mod real;
