//! Why a store does not do what it is asked.

use std::borrow::Cow;
use std::error::Error;

use crate::CredentialError;

/// A store that failed. Holds no token.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    message: Cow<'static, str>,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What the caller can do about it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be read or written at the moment.
    Unavailable,
    /// The store is somewhere else and does not answer: it comes back by itself, and is asked again
    /// while there is time.
    Unreachable,
    /// The store refuses this client: the user, the password or its permissions are wrong.
    Refused,
    /// Others can read the store; somebody has to mend its permissions.
    Exposed,
    /// What the store holds under the key is not a token of that key.
    Corrupt,
    /// What the store holds is sealed under a key that is not at hand. It is not lost: the key has
    /// to be configured.
    UnknownKey,
    /// Somebody else has been given the lease since.
    LeaseLost,
    /// The store is full.
    Full,
}

impl StoreError {
    /// A failure of this kind.
    pub fn new(kind: StoreErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Adds what caused it, which must not hold a token.
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl From<StoreError> for CredentialError {
    fn from(error: StoreError) -> Self {
        let message = "the token store failed";
        match error.kind {
            StoreErrorKind::Unreachable => Self::unavailable(
                "the token store cannot be reached, and no token is refreshed without it",
            ),
            StoreErrorKind::Unavailable | StoreErrorKind::LeaseLost | StoreErrorKind::Full => {
                Self::unavailable(message)
            }
            StoreErrorKind::Exposed
            | StoreErrorKind::Corrupt
            | StoreErrorKind::UnknownKey
            | StoreErrorKind::Refused => Self::misconfigured(message),
        }
        .with_source(error)
    }
}
