//! Why a request got no response, and whether the server may have seen it.

use std::error::Error as StdError;
use std::sync::Arc;

use mcp_core::{Error, Failure};

use super::connect::ConnectFailure;
use super::url::HttpUrl;

/// A request that got no response.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct SendError {
    // The text above is this error's own; what caused it comes next.
    #[source]
    cause: Option<Arc<dyn StdError + Send + Sync>>,
    error: Error,
    maybe_received: bool,
    unprocessed: bool,
}

impl SendError {
    pub(crate) fn refused(error: Error) -> Self {
        Self {
            error,
            maybe_received: false,
            unprocessed: false,
            cause: None,
        }
    }

    /// Whether the server may have received the request. If not, it can be sent again whatever it
    /// does.
    pub fn maybe_received(&self) -> bool {
        self.maybe_received
    }

    /// Whether a connection was there and the request can be sent again on another: it never left, or
    /// the server said that it left it alone (`REFUSED_STREAM`, or a `GOAWAY` that does not count it;
    /// RFC 9113, section 8.7).
    pub fn is_unprocessed(&self) -> bool {
        self.unprocessed
    }

    /// The error by itself.
    pub fn into_error(self) -> Error {
        self.error
    }

    /// `is_unsent` says that the request never left.
    pub(super) fn from_hyper(url: &HttpUrl, error: &hyper::Error, is_unsent: bool) -> Self {
        // A GOAWAY ends only the streams past the last one that it names, and of those the server has
        // done nothing (RFC 9113, section 6.8). Others end with their connection.
        let left_alone = find::<h2::Error>(error).is_some_and(|error| {
            error.reason() == Some(h2::Reason::REFUSED_STREAM)
                || (error.is_go_away() && error.is_remote())
        });
        let unprocessed = is_unsent || left_alone;
        // Cancelled: the connection was gone before the request was taken for writing.
        let unsent = unprocessed || error.is_canceled() || error.is_closed();
        let protocol = error.is_parse();
        let cause: Arc<dyn StdError + Send + Sync> = Arc::new(Cause::new(error));
        let error = if protocol {
            Failure::Protocol {
                message: "the answer is not HTTP".to_owned(),
                source: Some(Arc::clone(&cause)),
            }
        } else {
            Failure::Connect {
                peer: url.peer().to_owned(),
                source: Some(Arc::clone(&cause)),
            }
        };
        Self {
            error: error.into(),
            maybe_received: !unsent,
            unprocessed,
            cause: Some(cause),
        }
    }
}

impl ConnectFailure {
    /// As callers see it.
    pub(crate) fn at(&self, url: &HttpUrl) -> Error {
        let peer = || url.peer().to_owned();
        match self {
            Self::Refused(reason) => url.refused(reason),
            Self::Timeout(after) => Error::timeout(*after, "connecting"),
            Self::Setup(error) => error.clone(),
            Self::Tls(cause) => Failure::Tls {
                peer: peer(),
                source: Some(Arc::new(Cause::new(&**cause))),
            }
            .into(),
            Self::Tcp(cause) | Self::Lost(cause) => Failure::Connect {
                peer: peer(),
                source: Some(Arc::new(Cause::new(&**cause))),
            }
            .into(),
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        error.error
    }
}

/// How much is told of an error and its causes, in bytes: a certificate may have a thousand names.
const TOLD: usize = 1024;

/// The texts of an error and its causes, each said once and without what the server had to say:
/// `io::Error` hides the error in it from `source()`, so the chain is read here, where the error is at
/// hand.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Cause(String);

impl Cause {
    pub(crate) fn new(error: &(dyn StdError + 'static)) -> Self {
        let mut text = told(error);
        let mut cause = error.source();
        while let Some(error) = cause {
            let next = told(error);
            if !text.ends_with(&next) {
                text.push_str(": ");
                text.push_str(&next);
            }
            cause = error.source();
        }
        Self(mcp_core::wire::clean(&text, TOLD))
    }
}

/// An error's own text. HTTP/2 lets a server give its reasons in words of its own, which may echo
/// what it was sent; those stay out.
fn told(error: &(dyn StdError + 'static)) -> String {
    let io = error.downcast_ref::<std::io::Error>();
    let within = io.and_then(|io| io.get_ref()?.downcast_ref::<h2::Error>());
    match within.or_else(|| error.downcast_ref::<h2::Error>()) {
        Some(error) if error.is_go_away() => {
            let by = if error.is_remote() {
                "the server"
            } else {
                "this side"
            };
            let reason = error.reason().unwrap_or(h2::Reason::NO_ERROR);
            format!("{by} ended the connection: {reason}")
        }
        _ => error.to_string(),
    }
}

fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
