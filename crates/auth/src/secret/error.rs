//! Why a reference does not give its secret.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::CredentialError;

/// A reference that could not be resolved. Names the reference, never a value.
#[derive(Debug)]
pub struct SecretError {
    reference: String,
    kind: SecretErrorKind,
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretErrorKind {
    /// The reference itself is not well-formed.
    #[error("is malformed")]
    Malformed,
    /// An environment variable is unset and has no default.
    #[error("is not set")]
    Unset,
    /// A variable, a file or a command's output is not UTF-8.
    #[error("is not UTF-8 text")]
    NotText,
    /// A file or a command's output is empty.
    #[error("is empty")]
    Empty,
    /// A file or a command's output is larger than 64 KiB.
    #[error("is larger than 64 KiB")]
    TooLarge,
    /// A file cannot be read, or a command cannot be started.
    #[error("cannot be read")]
    Io(#[source] io::Error),
    /// It took longer than it may.
    #[error("gave nothing within {0:?}")]
    TimedOut(Duration),
    /// A command failed; the end of what it wrote to stderr, secrets removed.
    #[error("failed ({status}){}", stderr_shown(stderr))]
    #[non_exhaustive]
    Failed {
        /// How it ended, such as `exit status: 1`.
        status: String,
        /// The end of its stderr, with whatever looks like a secret removed.
        stderr: String,
    },
}

impl SecretError {
    pub(crate) fn new(reference: impl fmt::Display, kind: SecretErrorKind) -> Self {
        Self {
            reference: reference.to_string(),
            kind,
        }
    }

    /// The reference, in words.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// What is wrong with it.
    pub fn kind(&self) -> &SecretErrorKind {
        &self.kind
    }

    /// Whether trying again may help without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            SecretErrorKind::TimedOut(_) | SecretErrorKind::Failed { .. }
        )
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.reference, self.kind)
    }
}

impl Error for SecretError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The kind is part of our own words; its cause is the next in the chain.
        self.kind.source()
    }
}

impl From<SecretError> for CredentialError {
    fn from(error: SecretError) -> Self {
        let message = "a secret could not be resolved";
        if error.is_transient() {
            Self::unavailable(message).with_source(error)
        } else {
            Self::misconfigured(message).with_source(error)
        }
    }
}

fn stderr_shown(stderr: &str) -> String {
    if stderr.is_empty() {
        String::new()
    } else {
        format!(": {stderr}")
    }
}
