//! Servers for tests, examples and benches.
