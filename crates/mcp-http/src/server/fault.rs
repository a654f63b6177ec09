//! Why a request did not give a result, in the engine's own words.

use std::time::Duration;

use http::StatusCode;
use mcp_core::wire::RpcError;
use mcp_core::{Error, ErrorKind, Failure};

use super::sent::Sent;

/// What became of a request that gave no result.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// What the caller is to see.
    Failed(Error),
    /// The server stayed silent for longer than it may, though the caller's time is not over.
    Silent(Error),
    /// The server answered with a JSON-RPC error.
    Refused(Box<Refusal>),
    /// The server answered with a status and no JSON-RPC.
    Status(StatusCode, Error),
}

/// A JSON-RPC error that outlives the bytes it came in.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: i64,
    pub(crate) status: StatusCode,
    /// Whether it names our request. Servers that refuse before they read the body cannot.
    pub(crate) is_ours: bool,
    /// Whether it speaks of a session: there is no code for that.
    pub(crate) speaks_of_session: bool,
    /// The versions that the server lists.
    pub(crate) supported: Option<Vec<String>>,
    pub(crate) error: Error,
}

impl Refusal {
    pub(crate) fn new(
        rpc: RpcError<'_>,
        is_ours: bool,
        status: StatusCode,
        sent: Sent<'_>,
        snippet_bytes: usize,
    ) -> Self {
        #[derive(serde::Deserialize)]
        struct Supported {
            supported: Vec<String>,
        }
        // Before 2026-07-28 `initialize` was refused with the code for wrong parameters.
        let lists = [RpcError::UNSUPPORTED_VERSION, RpcError::INVALID_PARAMS].contains(&rpc.code);
        let supported = rpc
            .data
            .filter(|_| lists)
            .and_then(|data| serde_json::from_str::<Supported>(data.get()).ok())
            .map(|listed| listed.supported);
        let words = rpc.message.to_ascii_lowercase();
        Self {
            code: rpc.code,
            status,
            is_ours,
            speaks_of_session: words.contains("session") || words.contains("not initialized"),
            supported,
            error: rpc.into_error(|text| sent.redact(text), snippet_bytes),
        }
    }

    /// Whether only a server of 2026-07-28 or later says this.
    pub(crate) fn is_modern(&self) -> bool {
        [
            RpcError::HEADER_MISMATCH,
            RpcError::MISSING_CAPABILITY,
            RpcError::UNSUPPORTED_VERSION,
        ]
        .contains(&self.code)
    }
}

impl Fault {
    pub(crate) fn silent(after: Duration) -> Self {
        Self::Silent(Error::timeout(
            after,
            "waiting for the server to say anything",
        ))
    }

    /// Whether it tells that there is no session by the id that was sent, so that the request has
    /// not run. 404 by the book (2025-11-25, basic/transports); many servers say 400.
    pub(crate) fn is_session_loss(&self) -> bool {
        match self {
            Self::Failed(_) | Self::Silent(_) => false,
            Self::Status(status, _) => *status == StatusCode::NOT_FOUND,
            Self::Refused(refusal) => match refusal.status {
                StatusCode::NOT_FOUND => !refusal.is_ours || refusal.speaks_of_session,
                StatusCode::BAD_REQUEST => !refusal.is_ours && refusal.speaks_of_session,
                _ => false,
            },
        }
    }

    /// Whether the connection ended, so that a request that changes nothing may be sent again.
    pub(crate) fn is_loss_of_connection(&self) -> bool {
        matches!(self, Self::Failed(error) if error.kind() == ErrorKind::Connect)
    }

    /// Whether a request in the manner of 2026-07-28 met a server that does not speak it (any
    /// more), so that the request has not run.
    pub(crate) fn is_other_era(&self) -> bool {
        match self {
            Self::Failed(_) | Self::Silent(_) => false,
            Self::Status(status, _) => is_not_understood(*status),
            Self::Refused(refusal) => {
                refusal.code == RpcError::UNSUPPORTED_VERSION
                    || (refusal.status == StatusCode::BAD_REQUEST
                        && !refusal.is_ours
                        && !refusal.is_modern())
            }
        }
    }

    /// Whether the server says in so many words that it did nothing: it does not speak the version.
    pub(crate) fn is_unknown_version(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == RpcError::UNSUPPORTED_VERSION)
    }

    /// Whether it is a status that sends a client on to HTTP+SSE (2026-07-28,
    /// basic/transports/streamable-http).
    pub(crate) fn is_no_endpoint(&self) -> bool {
        matches!(self, Self::Status(status, _) if is_not_understood(*status))
    }

    /// What the caller would see.
    pub(crate) fn error(&self) -> &Error {
        match self {
            Self::Failed(error) | Self::Silent(error) | Self::Status(_, error) => error,
            Self::Refused(refusal) => &refusal.error,
        }
    }

    /// For the caller.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Failed(error) | Self::Silent(error) | Self::Status(_, error) => error,
            Self::Refused(refusal) => refusal.error,
        }
    }
}

fn is_not_understood(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
    )
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.into())
    }
}
