//! The built command against a real server over HTTP and as a child.
#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what fails here fails the test that asked for it"
)]

mod bad_input;
mod calls;
mod command;
mod consent;
mod contract;
mod doctor;
mod grants;
mod hints;
mod identity;
mod keyring;
mod lists;
mod logins;
mod packaging;
mod real_redis;
mod terminal;
mod tls;
