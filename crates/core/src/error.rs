//! What went wrong, named by what the caller can do about it.

mod failure;
mod kind;

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::failure::{ArgumentProblem, Failure};
pub use self::kind::ErrorKind;
use crate::auth::{CredentialError, CredentialErrorKind, InvalidHeader, InvalidIdentity, ServerId};
use crate::wire::Malformed;

/// A cause that can be shared between everybody who waited for the same thing.
pub(crate) type SharedSource = Arc<dyn StdError + Send + Sync>;

/// A cause to keep. A parser's error quotes what it read, and that may be a secret that a server
/// echoes or that stands in a configuration.
fn shared(source: impl StdError + Send + Sync + 'static) -> SharedSource {
    let json = (&source as &dyn Any).downcast_ref::<serde_json::Error>();
    match json.map(Malformed::from) {
        Some(malformed) => Arc::new(malformed),
        None => Arc::new(source),
    }
}

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

    /// [`Failure::Config`] with its cause. What is wrong with JSON becomes a
    /// [`Malformed`](crate::wire::Malformed), which quotes nothing of it.
    pub fn config_because(
        message: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Failure::Config {
            message: message.into(),
            source: Some(shared(source)),
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

    /// [`Failure::Protocol`] with its cause. What is wrong with JSON becomes a
    /// [`Malformed`](crate::wire::Malformed), which quotes nothing of it.
    pub fn protocol_because(
        message: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Failure::Protocol {
            message: message.into(),
            source: Some(shared(source)),
        }
        .into()
    }

    /// [`Failure::Timeout`].
    pub fn timeout(after: Duration, during: &'static str) -> Self {
        Failure::Timeout {
            after,
            during,
            source: None,
        }
        .into()
    }

    /// Says what the other side said while it was waited for, if this is a [`Failure::Timeout`] that
    /// does not know.
    pub fn meanwhile(mut self, said: impl StdError + Send + Sync + 'static) -> Self {
        if matches!(self.failure(), Failure::Timeout { source: None, .. })
            && let Failure::Timeout { source, .. } = &mut Arc::make_mut(&mut self.0).failure
        {
            *source = Some(Arc::new(said));
        }
        self
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

    /// [`Failure::UnknownTool`] of a server that offers no tools at all.
    pub fn no_tools(tool: &str) -> Self {
        Failure::UnknownTool {
            name: tool.to_owned(),
            candidates: Vec::new(),
        }
        .into()
    }

    /// How long the server, or the source of the credentials, asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.failure() {
            Failure::HttpStatus { retry_after, .. } => *retry_after,
            Failure::Credential(cause) => match cause.kind() {
                CredentialErrorKind::Unavailable { retry_after } => *retry_after,
                _ => None,
            },
            _ => None,
        }
    }

    /// [`Failure::OutcomeUnknown`] because of another failure.
    pub fn outcome_unknown(cause: Self) -> Self {
        Failure::OutcomeUnknown {
            source: Some(Arc::new(cause)),
        }
        .into()
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
            | Failure::Timeout { source, .. }
            | Failure::OutcomeUnknown { source } => source
                .as_deref()
                .map(|source| source as &(dyn StdError + 'static)),
            failure => failure.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parsers_error_quotes_nothing() {
        let echoed = serde_json::from_str::<i64>(r#""Bearer test-token-canary""#).unwrap_err();
        let error = Error::protocol_because("an answer is malformed", echoed);
        let cause = error.source().unwrap();
        assert!(cause.downcast_ref::<Malformed>().is_some());
        let shown = format!("{error} {error:?} {cause} {cause:?}");
        assert!(
            shown.contains("expected i64") && !shown.contains("canary"),
            "{shown}"
        );
    }

    #[test]
    fn causes_can_be_downcast() {
        let error = Error::outcome_unknown(Error::cancelled());
        let cause = error
            .source()
            .and_then(|cause| cause.downcast_ref::<Error>());
        assert_eq!(cause.map(Error::kind), Some(ErrorKind::Cancelled));
    }

    #[test]
    fn a_timeout_tells_what_was_said_meanwhile() {
        let silent = Error::timeout(Duration::from_secs(1), "a test");
        assert!(silent.source().is_none());
        let told = silent
            .meanwhile(Error::cancelled())
            .meanwhile(Error::config("later"));
        assert_eq!(told.kind(), ErrorKind::Timeout);
        assert_eq!(told.source().unwrap().to_string(), "cancelled");
        assert!(Error::cancelled().meanwhile(told).source().is_none());
    }

    #[test]
    fn who_asks_to_be_left_alone_is_heard() {
        let busy = Error::from(Failure::HttpStatus {
            status: 429,
            detail: ": slow down".to_owned(),
            retry_after: Some(Duration::from_secs(7)),
        });
        assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(
            busy.to_string(),
            "the server answered 429: slow down; it asks to be left alone for 7s"
        );
        let wait = Duration::from_secs(3);
        let source = Error::from(CredentialError::retry_after(wait, "busy"));
        assert_eq!(source.retry_after(), Some(wait));
        assert_eq!(Error::cancelled().retry_after(), None);
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
