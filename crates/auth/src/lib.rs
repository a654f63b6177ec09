//! Who calls an MCP server, and with what.
//!
//! * who: [`Principal`] (a user, maybe of a tenant) and [`ServerId`] (the name a server has here);
//! * with what: a [`CredentialProvider`] is asked at every request and answers with
//!   [`Credentials`]: header values that cannot be printed, a [`Fingerprint`] that can;
//! * what was refused: a transport reports a [`Rejection`] with the parsed [`Challenge`]s and is
//!   told to retry, to give up, or that the user must authorize ([`Recovery`]).
//!
//! Ready-made providers: [`Bearer`] and [`Headers`] that stay the same, [`SecretHeaders`] out of
//! [`SecretRef`]s, [`RefreshingToken`] around a [`TokenSource`], [`PerPrincipal`], [`Combined`],
//! [`Anonymous`], and closures ([`from_fn`], [`from_async_fn`]). [`Contained`] survives the panics of
//! somebody's own. A token that rotates and must outlive the process, or is shared with other
//! processes, lies in a [`TokenStore`].
//!
//! Nothing here prints a secret: what can hold one shows names and fingerprints in its `Debug`,
//! and errors name what they are about, never a value.
//!
//! The crate knows neither MCP nor any HTTP client, so that a platform can write and test a
//! provider without them.
//!
//! ```
//! use mcp_auth::{Bearer, CredentialProvider, CredentialRequest, Principal, ServerId};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = Bearer::new("test-token-alice")?;
//! let (server, alice) = (ServerId::new("github")?, Principal::new("alice")?);
//! let credentials = provider.credentials(CredentialRequest::new(&server, &alice)).await?;
//!
//! assert_eq!(credentials.headers().len(), 1);
//! assert!(!format!("{credentials:?}").contains("test-token"));
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! None is on by default.
//!
//! | feature | adds |
//! |---|---|
//! | `command` | secrets, tokens and headers that a command prints: `CommandToken`, `HeadersHelper` |
//! | `file` | `FileStore` (Unix) |
//! | `sealed` | `SealingKeys`: what is kept where others may read it, encrypted |
//! | `serde` | [`SecretRef`] in configuration files |
//! | `test-util` | the module `testing`: clocks, sources, a rotating issuer, rules to check against |
#![forbid(unsafe_code)]

mod challenge;
#[cfg(feature = "command")]
mod command_token;
mod contained;
mod credentials;
mod echo;
mod error;
mod expires_in;
mod fingerprint;
mod header;
mod identity;
mod maybe_ready;
mod panics;
mod provider;
mod providers;
mod redactor;
mod refresh;
#[cfg(feature = "sealed")]
mod sealed;
mod secret;
mod store;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
pub mod time;
mod token;

pub use challenge::Challenge;
#[cfg(feature = "command")]
pub use command_token::CommandToken;
pub use contained::Contained;
pub use credentials::{Credentials, CredentialsBuilder};
pub use error::{AuthorizationRequired, CredentialError, CredentialErrorKind};
pub use fingerprint::Fingerprint;
pub use header::{InvalidHeader, InvalidHeaderReason};
pub use identity::{InvalidIdentity, Principal, ServerId};
pub use maybe_ready::MaybeReady;
pub use provider::{CredentialProvider, CredentialRequest, Recovery, Rejection, SharedProvider};
#[cfg(feature = "command")]
pub use providers::HeadersHelper;
pub use providers::{
    Anonymous, Bearer, Combined, FromAsyncFn, FromFn, Headers, PerPrincipal, RequestInfo,
    SecretHeaders, from_async_fn, from_fn,
};
pub use redactor::Redactor;
pub use refresh::{CredentialEvent, RefreshReason, RefreshingToken};
#[cfg(feature = "sealed")]
pub use sealed::SealingKeys;
pub use secrecy::{ExposeSecret, SecretString};
pub use secret::{SecretError, SecretErrorKind, SecretKind, SecretRef, SecretScope};
#[cfg(all(unix, feature = "file"))]
pub use store::FileStore;
pub use store::{
    Changes, Expected, Lease, MemoryStore, Revision, Save, Saved, SharedStore, StoreError,
    StoreErrorKind, StorePolicy, StoredToken, TokenKey, TokenStore,
};
pub use token::{Expiry, Token, TokenContext, TokenSource};

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
