//! What went wrong, named by what the caller can do about it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::{
    AuthorizationRequired, CredentialError, CredentialErrorKind, InvalidHeader, InvalidIdentity,
    ServerId,
};

/// A cause that can be shared between everybody who waited for the same thing.
pub(crate) type SharedSource = Arc<dyn StdError + Send + Sync>;

/// Why listing or calling failed: a [`Failure`], and where it happened.
///
/// Cheap to clone, because one failed load is told to everybody who waited for it. Every text in
/// it is safe to log: what a peer wrote has been redacted and cut before it came here.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    failure: Failure,
    server: Option<ServerId>,
    tool: Option<Arc<str>>,
}

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
        /// The scopes that the challenge asks for.
        scopes: Vec<String>,
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
    #[error("the server answered {status}{detail}")]
    HttpStatus {
        /// The status.
        status: u16,
        /// What it said, redacted and cut, with a leading separator; or empty.
        detail: String,
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

/// The kind of an [`Error`], for programs: its names are stable and appear in logs, audit records
/// and the command's output.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// `config`
    Config,
    /// `invalid_arguments`
    InvalidArguments,
    /// `needs_authorization`
    NeedsAuthorization,
    /// `authorization_denied`
    AuthorizationDenied,
    /// `unauthorized`
    Unauthorized,
    /// `forbidden`
    Forbidden,
    /// `insufficient_scope`
    InsufficientScope,
    /// `credential_unavailable`
    CredentialUnavailable,
    /// `connect`
    Connect,
    /// `tls`
    Tls,
    /// `address_refused`
    AddressRefused,
    /// `redirect_refused`
    RedirectRefused,
    /// `http_status`
    HttpStatus,
    /// `protocol`
    Protocol,
    /// `limit_exceeded`
    LimitExceeded,
    /// `timeout`
    Timeout,
    /// `cancelled`
    Cancelled,
    /// `session_lost`
    SessionLost,
    /// `outcome_unknown`
    OutcomeUnknown,
    /// `server_exited`
    ServerExited,
    /// `denied`
    Denied,
    /// `unknown_tool`
    UnknownTool,
    /// `unknown_server`
    UnknownServer,
}

impl ErrorKind {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::InvalidArguments => "invalid_arguments",
            Self::NeedsAuthorization => "needs_authorization",
            Self::AuthorizationDenied => "authorization_denied",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::InsufficientScope => "insufficient_scope",
            Self::CredentialUnavailable => "credential_unavailable",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::AddressRefused => "address_refused",
            Self::RedirectRefused => "redirect_refused",
            Self::HttpStatus => "http_status",
            Self::Protocol => "protocol",
            Self::LimitExceeded => "limit_exceeded",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::SessionLost => "session_lost",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::ServerExited => "server_exited",
            Self::Denied => "denied",
            Self::UnknownTool => "unknown_tool",
            Self::UnknownServer => "unknown_server",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error {
    /// What went wrong.
    pub fn failure(&self) -> &Failure {
        &self.0.failure
    }

    /// The kind, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.0.failure.kind()
    }

    /// The server it happened at, by its name here.
    pub fn server(&self) -> Option<&ServerId> {
        self.0.server.as_ref()
    }

    /// The tool that was called.
    pub fn tool(&self) -> Option<&str> {
        self.0.tool.as_deref()
    }

    /// Says at which server it happened, unless that is known.
    pub fn at_server(mut self, server: &ServerId) -> Self {
        if self.0.server.is_none() {
            Arc::make_mut(&mut self.0).server = Some(server.clone());
        }
        self
    }

    /// Says which tool was called, unless that is known.
    pub fn for_tool(mut self, tool: &str) -> Self {
        if self.0.tool.is_none() {
            Arc::make_mut(&mut self.0).tool = Some(Arc::from(tool));
        }
        self
    }

    /// [`Failure::Config`] without a further cause.
    pub fn config(message: impl Into<String>) -> Self {
        Failure::Config {
            message: message.into(),
            source: None,
        }
        .into()
    }

    /// [`Failure::Config`] with its cause.
    pub fn config_because(
        message: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Failure::Config {
            message: message.into(),
            source: Some(Arc::new(source)),
        }
        .into()
    }

    /// [`Failure::Protocol`] without a further cause.
    pub fn protocol(message: impl Into<String>) -> Self {
        Failure::Protocol {
            message: message.into(),
            source: None,
        }
        .into()
    }

    /// [`Failure::Protocol`] with its cause.
    pub fn protocol_because(
        message: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Failure::Protocol {
            message: message.into(),
            source: Some(Arc::new(source)),
        }
        .into()
    }

    /// [`Failure::Timeout`].
    pub fn timeout(after: Duration, during: &'static str) -> Self {
        Failure::Timeout { after, during }.into()
    }

    /// [`Failure::Cancelled`].
    pub fn cancelled() -> Self {
        Failure::Cancelled.into()
    }

    /// [`Failure::LimitExceeded`].
    pub fn limit(limit: &'static str, value: usize, unit: &'static str) -> Self {
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        Failure::LimitExceeded { limit, value, unit }.into()
    }

    /// [`Failure::OutcomeUnknown`] because of another failure.
    pub fn outcome_unknown(cause: Self) -> Self {
        Failure::OutcomeUnknown {
            source: Some(Arc::new(cause)),
        }
        .into()
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

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self(Arc::new(Inner {
            failure,
            server: None,
            tool: None,
        }))
    }
}

impl From<CredentialError> for Error {
    fn from(error: CredentialError) -> Self {
        match error.kind() {
            CredentialErrorKind::NeedsAuthorization(required) => {
                Failure::NeedsAuthorization(required.clone()).into()
            }
            _ => Failure::Credential(error).into(),
        }
    }
}

impl From<InvalidHeader> for Error {
    fn from(error: InvalidHeader) -> Self {
        Self::config_because("a header cannot be sent", error)
    }
}

impl From<InvalidIdentity> for Error {
    fn from(error: InvalidIdentity) -> Self {
        Self::config_because("an identifier cannot be used", error)
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// The place, then the failure; the causes are in `source()`.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.tool, &self.0.server) {
            (Some(tool), Some(server)) => write!(f, "`{tool}` on `{server}`: ")?,
            (Some(tool), None) => write!(f, "`{tool}`: ")?,
            (None, Some(server)) => write!(f, "`{server}`: ")?,
            (None, None) => {}
        }
        self.0.failure.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("failure", &self.0.failure)
            .field("server", &self.0.server)
            .field("tool", &self.0.tool)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // The failure's own text is part of ours: its cause comes next, as itself and not as the
        // pointer that shares it, so that it can be downcast.
        match &self.0.failure {
            Failure::Config { source, .. }
            | Failure::Connect { source, .. }
            | Failure::Tls { source, .. }
            | Failure::Protocol { source, .. }
            | Failure::OutcomeUnknown { source } => source
                .as_deref()
                .map(|source| source as &(dyn StdError + 'static)),
            failure => failure.source(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_can_be_downcast() {
        let error = Error::outcome_unknown(Error::cancelled());
        let cause = error
            .source()
            .and_then(|cause| cause.downcast_ref::<Error>());
        assert_eq!(cause.map(Error::kind), Some(ErrorKind::Cancelled));
    }

    #[test]
    fn the_end_of_standard_error_is_shown_not_all_of_it() {
        let exited = |stderr: &str| {
            let status = "exit status: 1".to_owned();
            let stderr = stderr.to_owned();
            Error::from(Failure::ServerExited { status, stderr }).to_string()
        };
        assert!(exited(" \n").contains("wrote nothing"));
        assert!(exited("bad token\n").ends_with("it wrote: bad token"));
        let long = exited(&("é".repeat(60_000) + "bad token"));
        assert!(
            long.len() < 2_200 && long.ends_with("ébad token"),
            "{}",
            long.len()
        );
    }
}
