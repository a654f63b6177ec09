//! Why there are no credentials, told by what the caller can do about it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{InvalidHeader, InvalidIdentity};

/// Why a provider has no credentials to give.
///
/// Cheap to clone, because one failed refresh is told to everybody who waited for it. The message
/// and the chain of sources are written to logs: whoever makes one keeps secrets out of both.
#[derive(Clone)]
pub struct CredentialError(Arc<Inner>);

struct Inner {
    kind: CredentialErrorKind,
    message: Cow<'static, str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What the caller can do about a [`CredentialError`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CredentialErrorKind {
    /// Something that has to be configured is missing or wrong; trying again changes nothing.
    Misconfigured,
    /// The source of the credentials did not answer or asked to be left alone for a while; trying
    /// later may help. `retry_after` is what the source asked for.
    Unavailable {
        /// How long the source asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The grant is gone (`invalid_grant`) or was never given: the user must authorize.
    NeedsAuthorization(AuthorizationRequired),
    /// The authorization server refused this client or this user for good.
    Denied,
    /// The authorization server refuses the client, the resource or the grant; somebody has to look
    /// at the registration. The message has its error code.
    Refused,
    /// The authorization server, or the metadata that leads to it, broke the rules: what it says is
    /// not believed.
    Protocol,
}

impl CredentialErrorKind {
    /// A short name, for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Misconfigured => "misconfigured",
            Self::Unavailable { .. } => "unavailable",
            Self::NeedsAuthorization(_) => "needs_authorization",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Protocol => "protocol",
        }
    }
}

impl CredentialError {
    /// Something that has to be configured is missing or wrong.
    pub fn misconfigured(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(CredentialErrorKind::Misconfigured, message)
    }

    /// The source cannot answer at the moment.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            CredentialErrorKind::Unavailable { retry_after: None },
            message,
        )
    }

    /// The source asked to be left alone for a while (HTTP 429 or 503 with `Retry-After`).
    pub fn retry_after(delay: Duration, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            CredentialErrorKind::Unavailable {
                retry_after: Some(delay),
            },
            message,
        )
    }

    /// The user must authorize (again).
    pub fn needs_authorization(required: AuthorizationRequired) -> Self {
        Self::new(
            CredentialErrorKind::NeedsAuthorization(required),
            "authorization is needed",
        )
    }

    /// The client or the user was refused for good.
    pub fn denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(CredentialErrorKind::Denied, message)
    }

    /// The authorization server refuses the client, the resource or the grant.
    pub fn refused(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(CredentialErrorKind::Refused, message)
    }

    /// The authorization server or its metadata broke the rules.
    pub fn protocol(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(CredentialErrorKind::Protocol, message)
    }

    fn new(kind: CredentialErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    /// Adds what caused it. The cause must not hold a secret: its text reaches logs.
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source: Box<dyn StdError + Send + Sync> = source.into();
        Self(Arc::new(Inner {
            kind: self.0.kind.clone(),
            message: self.0.message.clone(),
            source: Some(Arc::from(source)),
        }))
    }

    /// The same, with the time until trying again makes sense, if trying again makes sense.
    pub(crate) fn with_pause(&self, pause: Duration) -> Self {
        if !self.is_transient() {
            return self.clone();
        }
        Self(Arc::new(Inner {
            kind: CredentialErrorKind::Unavailable {
                retry_after: Some(pause),
            },
            message: self.0.message.clone(),
            source: self.0.source.clone(),
        }))
    }

    /// What the caller can do.
    pub fn kind(&self) -> &CredentialErrorKind {
        &self.0.kind
    }

    /// Whether the same question may be answered later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, CredentialErrorKind::Unavailable { .. })
    }
}

impl fmt::Debug for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialError")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for CredentialError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| &**source as &(dyn StdError + 'static))
    }
}

impl From<InvalidHeader> for CredentialError {
    fn from(error: InvalidHeader) -> Self {
        Self::misconfigured("the credentials cannot be sent").with_source(error)
    }
}

impl From<InvalidIdentity> for CredentialError {
    fn from(error: InvalidIdentity) -> Self {
        Self::misconfigured("the identity cannot be used").with_source(error)
    }
}

/// What a user has to do before calls can go on: data for a link, a button or a message.
#[derive(Clone, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct AuthorizationRequired {
    /// Where the user gives consent, if a flow has been prepared. Holds the flow's `state`: show it
    /// to the user it was made for and nobody else.
    pub authorize_url: Option<String>,
    /// The scopes that are asked for.
    pub scopes: Vec<String>,
    /// What the user types there, where consent is given on another device (RFC 8628).
    pub user_code: Option<String>,
}

impl AuthorizationRequired {
    /// Authorization is needed, and no flow has been prepared.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets where the user gives consent.
    pub fn with_authorize_url(mut self, url: impl Into<String>) -> Self {
        self.authorize_url = Some(url.into());
        self
    }

    /// Sets what the user types there.
    pub fn with_user_code(mut self, code: impl Into<String>) -> Self {
        self.user_code = Some(code.into());
        self
    }

    /// Sets the scopes that are asked for.
    pub fn with_scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }
}

impl fmt::Debug for AuthorizationRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query holds `state`; a log needs only where the user would go.
        let shown = self
            .authorize_url
            .as_deref()
            .map(|url| url.split(['?', '#']).next());
        f.debug_struct("AuthorizationRequired")
            .field("authorize_url", &shown)
            .field("scopes", &self.scopes)
            .field("user_code", &self.user_code.as_ref().map(|_| "[redacted]"))
            .finish()
    }
}
