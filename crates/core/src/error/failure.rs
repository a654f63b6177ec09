//! What went wrong, with what is known about it.

use std::fmt;
use std::time::Duration;

use super::{ErrorKind, SharedSource};
use crate::auth::{AuthorizationRequired, CredentialError, CredentialErrorKind};

/// What went wrong.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The caller configured something that cannot work. Change it.
    #[error("{message}")]
    Config {
        /// What has to be changed.
        message: String,
        /// What noticed it.
        #[source]
        source: Option<SharedSource>,
    },
    /// The arguments do not fit the tool's schema; the model can mend them.
    #[error("the arguments do not fit the schema: {}", Problems(.0))]
    InvalidArguments(Vec<ArgumentProblem>),
    /// The user must authorize before this can work.
    #[error("the user must authorize first{}", Scopes(&.0.scopes))]
    NeedsAuthorization(AuthorizationRequired),
    /// The server refused the credentials and no better ones are to be had.
    #[error("the server refused the credentials (401): {hint}")]
    Unauthorized {
        /// What was sent, in words, and what to do.
        hint: String,
        /// The scopes that its challenge names.
        scopes: Vec<String>,
    },
    /// The server knows the caller and does not let it.
    #[error("the server refused access (403){detail}")]
    Forbidden {
        /// What the server said, redacted and cut, with a leading separator; or empty.
        detail: String,
    },
    /// The credentials lack scopes.
    #[error("the credentials lack scopes{}", Scopes(.scopes))]
    InsufficientScope {
        /// The scopes that the challenge asks for, or that the user would be asked for.
        scopes: Vec<String>,
        /// What the user has to do to widen them, where that is the way.
        authorization: Option<AuthorizationRequired>,
    },
    /// The credentials could not be had; the source says why.
    #[error("no credentials could be had")]
    Credential(#[source] CredentialError),
    /// No connection: nothing answered there.
    #[error("cannot connect to {peer}")]
    Connect {
        /// Host and port, or the program.
        peer: String,
        /// Why.
        #[source]
        source: Option<SharedSource>,
    },
    /// The TLS handshake failed: certificate, name or version.
    #[error("no secure connection to {peer}")]
    Tls {
        /// Host and port.
        peer: String,
        /// Why.
        #[source]
        source: Option<SharedSource>,
    },
    /// The address policy does not let the request go there.
    #[error("requests to {peer} are refused: {reason}")]
    AddressRefused {
        /// Host, or address.
        peer: String,
        /// Which rule.
        reason: &'static str,
    },
    /// The server redirects to where the request must not follow.
    #[error("a redirect was refused: {reason}")]
    RedirectRefused {
        /// Which rule.
        reason: String,
    },
    /// The server answered with a status that has no meaning in the protocol.
    #[error("the server answered {status}{detail}{}", RetryAfter(*.retry_after))]
    HttpStatus {
        /// The status.
        status: u16,
        /// What it said, redacted and cut, with a leading separator; or empty.
        detail: String,
        /// How long it asks to be left alone (`Retry-After` of a 429 or 503; RFC 9110, section
        /// 10.2.3), at most a day.
        retry_after: Option<Duration>,
    },
    /// The peer broke the protocol.
    #[error("the server broke the protocol: {message}")]
    Protocol {
        /// What was wrong.
        message: String,
        /// What noticed it.
        #[source]
        source: Option<SharedSource>,
    },
    /// The server answered the request with a JSON-RPC error.
    #[error("the server answered with error {code}: {message}")]
    Rpc {
        /// The JSON-RPC code.
        code: i64,
        /// The server's message, redacted and cut.
        message: String,
    },
    /// A bound was reached. Raise it if the server is trusted.
    #[error("more than {value} {unit}; raise the limit `{limit}` if the server is trusted")]
    LimitExceeded {
        /// The field of [`Limits`](crate::Limits).
        limit: &'static str,
        /// Its value.
        value: u64,
        /// What it counts.
        unit: &'static str,
    },
    /// The deadline passed.
    #[error("no answer within {after:?} while {during}")]
    Timeout {
        /// How long it was waited.
        after: Duration,
        /// What was waited for.
        during: &'static str,
        /// What the other side said meanwhile, if that may be why.
        #[source]
        source: Option<SharedSource>,
    },
    /// The caller stopped it.
    #[error("cancelled")]
    Cancelled,
    /// The server forgot the session, and the call is not known to be safe to repeat.
    #[error("the server ended the session")]
    SessionLost,
    /// The call may have run: the answer was lost. It is not repeated.
    #[error("the answer was lost; the call may have run")]
    OutcomeUnknown {
        /// How it was lost.
        #[source]
        source: Option<SharedSource>,
    },
    /// The child process ended.
    #[error("the server process ended ({status}){}", StderrTail(.stderr))]
    ServerExited {
        /// Its exit status, in words.
        status: String,
        /// The end of its standard error, redacted.
        stderr: String,
    },
    /// A middleware or policy of this process said no.
    #[error("denied by {by}: {reason}")]
    Denied {
        /// Which middleware.
        by: String,
        /// Why.
        reason: String,
    },
    /// There is no such tool.
    #[error("there is no tool `{name}`{}", Nearest(.candidates))]
    UnknownTool {
        /// What was asked for.
        name: String,
        /// Tools it may have meant.
        candidates: Vec<String>,
    },
    /// There is no such server.
    #[error("there is no server `{name}`{}", Nearest(.candidates))]
    UnknownServer {
        /// What was asked for.
        name: String,
        /// Servers it may have meant.
        candidates: Vec<String>,
    },
}

/// One argument that does not fit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{pointer}: {message}")]
#[non_exhaustive]
pub struct ArgumentProblem {
    /// Where, as a JSON pointer; `/` is the whole.
    pub pointer: String,
    /// What is wrong, in words a model can act on.
    pub message: String,
}

impl ArgumentProblem {
    /// A problem at a place.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let pointer = pointer.into();
        let pointer = if pointer.is_empty() {
            "/".to_owned()
        } else {
            pointer
        };
        Self {
            pointer,
            message: message.into(),
        }
    }
}

impl Failure {
    /// The kind, for programs.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } => ErrorKind::Config,
            Self::InvalidArguments(_) => ErrorKind::InvalidArguments,
            Self::NeedsAuthorization(_) => ErrorKind::NeedsAuthorization,
            Self::Unauthorized { .. } => ErrorKind::Unauthorized,
            Self::Forbidden { .. } => ErrorKind::Forbidden,
            Self::InsufficientScope { .. } => ErrorKind::InsufficientScope,
            Self::Credential(error) => match error.kind() {
                CredentialErrorKind::Misconfigured => ErrorKind::Config,
                CredentialErrorKind::NeedsAuthorization(_) => ErrorKind::NeedsAuthorization,
                CredentialErrorKind::Denied => ErrorKind::AuthorizationDenied,
                CredentialErrorKind::Protocol => ErrorKind::Protocol,
                _ => ErrorKind::CredentialUnavailable,
            },
            Self::Connect { .. } => ErrorKind::Connect,
            Self::Tls { .. } => ErrorKind::Tls,
            Self::AddressRefused { .. } => ErrorKind::AddressRefused,
            Self::RedirectRefused { .. } => ErrorKind::RedirectRefused,
            Self::HttpStatus { .. } => ErrorKind::HttpStatus,
            Self::Protocol { .. } | Self::Rpc { .. } => ErrorKind::Protocol,
            Self::LimitExceeded { .. } => ErrorKind::LimitExceeded,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::SessionLost => ErrorKind::SessionLost,
            Self::OutcomeUnknown { .. } => ErrorKind::OutcomeUnknown,
            Self::ServerExited { .. } => ErrorKind::ServerExited,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::UnknownTool { .. } => ErrorKind::UnknownTool,
            Self::UnknownServer { .. } => ErrorKind::UnknownServer,
        }
    }
}

struct Problems<'a>(&'a [ArgumentProblem]);

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

struct Scopes<'a>(&'a [String]);

impl fmt::Display for Scopes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, " (scopes: {})", self.0.join(" "))
    }
}

struct Nearest<'a>(&'a [String]);

impl fmt::Display for Nearest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            names => write!(f, "; there is {}", names.join(", ")),
        }
    }
}

struct RetryAfter(Option<Duration>);

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(wait) => write!(f, "; it asks to be left alone for {wait:?}"),
            None => Ok(()),
        }
    }
}

struct StderrTail<'a>(&'a str);

impl fmt::Display for StderrTail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 2048;
        let tail = self.0.trim();
        if tail.is_empty() {
            return f.write_str("; it wrote nothing to standard error");
        }
        // All of it is in the field; what a log needs is the end.
        let start = tail.len().saturating_sub(SHOWN);
        let start = (start..tail.len()).find(|&at| tail.is_char_boundary(at));
        let shown = start.and_then(|start| tail.get(start..)).unwrap_or(tail);
        let cut = if shown.len() < tail.len() { "…" } else { "" };
        write!(f, "; it wrote: {cut}{shown}")
    }
}
