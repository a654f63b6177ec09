//! MCP authorization: how a request gets the right token, by the specification's rules.
//!
//! [`OAuth`] is a [`CredentialProvider`](mcp_core::auth::CredentialProvider) for one server and all
//! its users. From the server's challenge it finds out who issues tokens (protected resource
//! metadata, authorization server metadata), makes itself known there (pre-registered, by a client
//! metadata document, or registered dynamically), and gets tokens by a [`Grant`]. Each principal's
//! token is refreshed once for all who wait, in `mcp-auth`'s
//! [`RefreshingToken`](mcp_core::auth::RefreshingToken), and kept in a
//! [`TokenStore`](mcp_core::auth::TokenStore).
//!
//! * Consent is data: a call that needs it fails with a URL for the user, and
//!   [`OAuth::complete`] takes the callback on any replica. [`OAuth::login`] does both for a command
//!   line; an [`AuthorizationHandler`] does both while the call waits.
//! * [`Dpop`] binds tokens to a key (RFC 9449).
//! * [`OAuth::logout`] revokes and forgets.
//!
//! Every URL that a server names is requested through `mcp-http`'s guarded client. Errors say what
//! to do next and hold no token, code, verifier, secret or assertion.
#![forbid(unsafe_code)]

mod builder;
mod client;
mod core;
mod device;
mod discovery;
mod dpop;
mod error;
mod flow;
mod grant;
mod granted;
mod handler;
mod jwt;
mod key;
#[cfg(feature = "keyring")]
mod keyring;
mod login;
mod logout;
mod loopback;
mod metadata;
mod nonces;
mod provider;
mod random;
mod records;
mod scopes;
mod sealed;
mod session;
mod source;
mod token_endpoint;
mod wire;

pub use builder::OAuthBuilder;
pub use client::{AssertionAudience, ClientAuthMethod};
pub use dpop::Dpop;
pub use error::OAuthError;
pub use grant::{AssertionSource, Enterprise, Grant, SharedAssertion, TokenExchange};
pub use handler::{AuthorizationHandler, AuthorizationPrompt};
pub use key::SigningKey;
#[cfg(feature = "keyring")]
pub use keyring_core;
pub use login::{AuthorizationRequest, Authorized};
pub use logout::LoggedOut;
pub use loopback::{ArrivedCallback, LoopbackListener};
pub use provider::OAuth;
pub use sealed::SealedStore;

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
