//! The built command against a real server over HTTP and as a child.
#![forbid(unsafe_code)]

mod bad_input;
mod calls;
mod command;
mod lists;
