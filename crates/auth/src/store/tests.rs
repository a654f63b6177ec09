//! Promises that every store keeps.
