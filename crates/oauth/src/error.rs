//! What went wrong on the way to a token, told by what the caller can do about it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use mcp_core::auth::{AuthorizationRequired, CredentialError, SecretError, StoreError};
use mcp_core::{Error, ErrorKind, Failure};

type Cause = Arc<dyn StdError + Send + Sync>;

/// Why there is no token. Cheap to clone; holds no token, code, verifier, secret or assertion, and
/// what a server wrote in it has been redacted and cut.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OAuthError {
    /// Something that has to be configured is missing or wrong.
    #[error("{message}")]
    Config {
        /// What to change.
        message: Cow<'static, str>,
        /// What noticed it.
        #[source]
        source: Option<Cause>,
    },
    /// A server on the way did not answer, or asked to be left alone. Trying later may help.
    #[error("{what} cannot be had at the moment")]
    Unavailable {
        /// What was asked for.
        what: Cow<'static, str>,
        /// How long the server asked to be left alone.
        retry_after: Option<Duration>,
        /// Why.
        #[source]
        source: Option<Cause>,
    },
    /// Metadata or an answer breaks the rules and is not believed.
    #[error("{message}")]
    Protocol {
        /// Which rule.
        message: Cow<'static, str>,
        /// What noticed it.
        #[source]
        source: Option<Cause>,
    },
    /// The authorization server refuses the client, the resource, the scopes or the grant.
    #[error("the authorization server refuses {what}: {code}{detail}")]
    Refused {
        /// What was asked of it.
        what: &'static str,
        /// Its error code (RFC 6749, section 5.2).
        code: String,
        /// What it said, redacted and cut, with a leading separator; or empty.
        detail: String,
    },
    /// The user, or a policy at the authorization server, said no.
    #[error("authorization was denied: {code}{detail}")]
    Denied {
        /// The error code (RFC 6749, section 4.1.2.1).
        code: String,
        /// What was said, redacted and cut, with a leading separator; or empty.
        detail: String,
    },
    /// The user must authorize.
    #[error("the user must authorize first")]
    NeedsAuthorization(AuthorizationRequired),
    /// Handed on as it came: from a host's own code, a secret reference or a store.
    #[error(transparent)]
    Credential(Arc<CredentialError>),
}

impl OAuthError {
    pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Config {
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn protocol(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Protocol {
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn unavailable(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Unavailable {
            what: what.into(),
            retry_after: None,
            source: None,
        }
    }

    /// A request that got no usable answer. What the policy refuses stays refused; the rest may
    /// work later.
    pub(crate) fn from_http(what: &'static str, error: Error) -> Self {
        match error.kind() {
            ErrorKind::AddressRefused
            | ErrorKind::RedirectRefused
            | ErrorKind::Protocol
            | ErrorKind::LimitExceeded => Self::Protocol {
                message: format!("{what} cannot be used").into(),
                source: Some(Arc::new(error)),
            },
            ErrorKind::Config => Self::Config {
                message: format!("{what} cannot be used").into(),
                source: Some(Arc::new(error)),
            },
            _ => Self::Unavailable {
                what: what.into(),
                retry_after: None,
                source: Some(Arc::new(error)),
            },
        }
    }

    /// Whether the same question may be answered later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Credential(error) => error.is_transient(),
            _ => false,
        }
    }

    /// The error code of the authorization server, if it gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } | Self::Denied { code, .. } => Some(code),
            _ => None,
        }
    }
}

impl From<OAuthError> for CredentialError {
    fn from(error: OAuthError) -> Self {
        match &error {
            OAuthError::Credential(inner) => return inner.as_ref().clone(),
            OAuthError::NeedsAuthorization(required) => {
                return Self::needs_authorization(required.clone());
            }
            _ => {}
        }
        let message = error.to_string();
        let made = match &error {
            OAuthError::Config { .. } => Self::misconfigured(message),
            OAuthError::Protocol { .. } => Self::protocol(message),
            OAuthError::Refused { .. } => Self::refused(message),
            OAuthError::Denied { .. } => Self::denied(message),
            OAuthError::Unavailable {
                retry_after: Some(delay),
                ..
            } => Self::retry_after(*delay, message),
            _ => Self::unavailable(message),
        };
        match error {
            OAuthError::Config {
                source: Some(source),
                ..
            }
            | OAuthError::Unavailable {
                source: Some(source),
                ..
            }
            | OAuthError::Protocol {
                source: Some(source),
                ..
            } => made.with_source(Shared(source)),
            _ => made,
        }
    }
}

impl From<OAuthError> for Error {
    fn from(error: OAuthError) -> Self {
        match error {
            OAuthError::Denied { .. } | OAuthError::Protocol { .. } | OAuthError::Config { .. } => {
                Failure::Credential(error.into()).into()
            }
            error => CredentialError::from(error).into(),
        }
    }
}

impl From<CredentialError> for OAuthError {
    fn from(error: CredentialError) -> Self {
        match error.kind() {
            mcp_core::auth::CredentialErrorKind::NeedsAuthorization(required) => {
                Self::NeedsAuthorization(required.clone())
            }
            _ => Self::Credential(Arc::new(error)),
        }
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        CredentialError::from(error).into()
    }
}

impl From<SecretError> for OAuthError {
    fn from(error: SecretError) -> Self {
        CredentialError::from(error).into()
    }
}

/// A cause that is shared, as an error of its own.
#[derive(Debug)]
struct Shared(Arc<dyn StdError + Send + Sync>);

impl std::fmt::Display for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Shared {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
