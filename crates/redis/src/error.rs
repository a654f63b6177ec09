//! Why Redis did not do what it was asked.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use mcp_core::auth::{StoreError, StoreErrorKind};
use redis::{ErrorKind, ServerErrorKind};

/// A request to Redis that failed. Names the server's error code, never what was sent or answered.
/// Cloning copies pointers: all who ask during one outage are told the same.
#[derive(Clone, Debug)]
pub struct RedisError {
    kind: RedisErrorKind,
    message: Cow<'static, str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What the caller can do about it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RedisErrorKind {
    /// The address, a certificate or another setting is wrong.
    Config,
    /// Redis does not answer, or cannot serve at the moment: it comes back by itself.
    Unreachable,
    /// Redis refuses this client: the user, the password or its permissions are wrong.
    Refused,
    /// Redis has no memory left for it.
    Full,
    /// Redis answered something else than was asked for: another program writes under the prefix,
    /// or the server is too old.
    Unexpected,
}

impl RedisError {
    pub(crate) fn new(kind: RedisErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RedisErrorKind::Config, message)
    }

    pub(crate) fn unreachable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RedisErrorKind::Unreachable, message)
    }

    pub(crate) fn unexpected(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RedisErrorKind::Unexpected, message)
    }

    /// Adds what caused it, which must not hold a secret.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> RedisErrorKind {
        self.kind
    }

    /// What the client library says, without the server's text: that may repeat what was sent.
    pub(crate) fn told(error: &redis::RedisError) -> Self {
        let code = error.code();
        let kind = match error.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => {
                RedisErrorKind::Refused
            }
            ErrorKind::Io
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::MasterNameNotFoundBySentinel
            | ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::TryAgain
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask,
            ) => RedisErrorKind::Unreachable,
            ErrorKind::InvalidClientConfig => RedisErrorKind::Config,
            _ => match code {
                Some("WRONGPASS" | "NOAUTH" | "NOPERM") => RedisErrorKind::Refused,
                Some("OOM") => RedisErrorKind::Full,
                // The disk is full or failing, or replicas are missing: writes are refused for now.
                Some("MISCONF" | "NOREPLICAS" | "BUSY") => RedisErrorKind::Unreachable,
                _ => RedisErrorKind::Unexpected,
            },
        };
        let text = match kind {
            RedisErrorKind::Config => "the settings for Redis cannot be used",
            RedisErrorKind::Unreachable if error.is_timeout() => "Redis did not answer in time",
            RedisErrorKind::Unreachable => "Redis cannot be reached",
            RedisErrorKind::Refused => "Redis refuses this client",
            RedisErrorKind::Full => "Redis is full",
            RedisErrorKind::Unexpected => "Redis answered something else",
        };
        let message = match code {
            Some(code) => format!("{text} ({code})").into(),
            None => Cow::Borrowed(text),
        };
        let told = Self::new(kind, message);
        match error.kind() {
            ErrorKind::Io => told.because(error.clone()),
            _ => told,
        }
    }
}

impl fmt::Display for RedisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for RedisError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        let (kind, message) = match error.kind {
            RedisErrorKind::Unreachable => (
                StoreErrorKind::Unreachable,
                "the token store cannot be reached",
            ),
            RedisErrorKind::Refused | RedisErrorKind::Config => (
                StoreErrorKind::Refused,
                "the token store refuses this client",
            ),
            RedisErrorKind::Full => (StoreErrorKind::Full, "the token store is full"),
            RedisErrorKind::Unexpected => (
                StoreErrorKind::Corrupt,
                "the token store holds something else",
            ),
        };
        Self::new(kind, message).with_source(error)
    }
}
