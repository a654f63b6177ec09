//! Tokens from elsewhere that vouch for a user or workload.

use std::fmt::Debug;
use std::sync::Arc;

use mcp_core::auth::{CredentialError, MaybeReady, Principal, SecretRef, SecretString};

/// Gives the token that vouches for a principal. Asked anew at each use, so that one that rotates
/// (a projected file) is never stale.
///
/// A [`SecretRef`] is a source whose token is the same for everybody.
pub trait AssertionSource: Debug + Send + Sync {
    /// The token that vouches for this principal now.
    ///
    /// # Errors
    /// When there is none.
    fn assertion<'a>(
        &'a self,
        principal: &'a Principal,
    ) -> MaybeReady<'a, Result<SecretString, CredentialError>>;

    /// Whether the token names the program and not the principal: then all principals share what is
    /// had with it. Default: no.
    fn is_shared(&self) -> bool {
        false
    }
}

/// A source that is passed around.
pub type SharedAssertion = Arc<dyn AssertionSource>;

impl AssertionSource for SecretRef {
    fn assertion<'a>(
        &'a self,
        _: &'a Principal,
    ) -> MaybeReady<'a, Result<SecretString, CredentialError>> {
        MaybeReady::new(async move { Ok(self.resolve().await?) })
    }

    fn is_shared(&self) -> bool {
        true
    }
}
