//! What happens to a credential, for an application that wants to see it.

use std::time::Duration;

use crate::{CredentialError, Fingerprint};

/// Something that happened to a credential. Holds fingerprints, never tokens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CredentialEvent<'a> {
    /// A new credential is in use.
    #[non_exhaustive]
    Refreshed {
        /// The new one.
        fingerprint: Fingerprint,
        /// The one before.
        previous: Option<Fingerprint>,
        /// Why.
        reason: RefreshReason,
        /// How long it will last; `None` if it does not end.
        lifetime: Option<Duration>,
    },
    /// Another process had refreshed already; its credential was taken over from the store.
    #[non_exhaustive]
    Adopted {
        /// The one taken over.
        fingerprint: Fingerprint,
    },
    /// A refresh failed. A credential that is still valid stays in use.
    #[non_exhaustive]
    RefreshFailed {
        /// Why.
        error: &'a CredentialError,
        /// How long the source is left alone.
        pause: Duration,
    },
    /// A server refused a credential.
    #[non_exhaustive]
    Rejected {
        /// The refused one.
        fingerprint: Fingerprint,
    },
}

/// Why a refresh was made.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RefreshReason {
    /// There was no credential yet.
    First,
    /// The one in use will end soon; calls went on with it.
    Early,
    /// The one before had ended; calls waited.
    Expired,
    /// A server refused the one before.
    Rejected,
    /// A server asked for scopes that the one before does not have.
    Scopes,
}

impl RefreshReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Early => "early",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Scopes => "scopes",
        }
    }
}
