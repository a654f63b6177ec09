//! A response, read within bounds.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use mcp_core::{Error, Failure};

use super::failure::Cause;
use super::pool::Lease;

/// The head of a response, and the body that is still to come. Dropping it closes the request.
pub struct HttpResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
    /// The connection that the body comes in on, until it has come.
    lease: Option<Lease>,
}

impl HttpResponse {
    pub(super) fn new(response: http::Response<Incoming>, lease: Option<Lease>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            body,
            lease,
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header that is text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What time it is at the server, as it says (RFC 9110, section 6.6.1).
    pub fn date(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.header(&header::DATE)?).ok()
    }

    /// The media type, without parameters, as the server spelled it.
    pub fn content_type(&self) -> Option<&str> {
        let value = self.header(&header::CONTENT_TYPE)?;
        Some(value.split(';').next().unwrap_or(value).trim())
    }

    /// Whether the media type is this one, whatever its case and parameters.
    pub fn is(&self, media_type: &str) -> bool {
        let Some(value) = self.headers.get(header::CONTENT_TYPE) else {
            return false;
        };
        let value = value.as_bytes().trim_ascii_start();
        let Some((given, parameters)) = value.split_at_checked(media_type.len()) else {
            return false;
        };
        let is_all = matches!(parameters.trim_ascii_start(), [] | [b';', ..]);
        is_all && given.eq_ignore_ascii_case(media_type.as_bytes())
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// [`Failure::Protocol`] when the body breaks off, or is encoded although nobody asked for it.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.refuse_encoding()?;
        loop {
            match self.body.frame().await {
                None => {
                    self.lease = None;
                    return Ok(None);
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(Failure::Protocol {
                        message: "the answer broke off".to_owned(),
                        source: Some(Arc::new(Cause::new(&error))),
                    }
                    .into());
                }
            }
        }
    }

    /// Whether an error of [`chunk`](Self::chunk) or [`bytes`](Self::bytes) says that the body broke
    /// off.
    pub(crate) fn broke_off(error: &Error) -> bool {
        let cause = error.source();
        cause.and_then(|it| it.downcast_ref::<Cause>()).is_some()
    }

    /// The whole body. A body that says it is longer than `limit` is not even begun.
    ///
    /// # Errors
    /// [`Failure::LimitExceeded`] naming `body_bytes`, and as [`chunk`](Self::chunk).
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, Error> {
        let too_long = || Error::limit("body_bytes", limit, "bytes in an answer");
        let announced = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(too_long());
        }
        // Most answers are one piece, which is handed on as it came.
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        if first.len() > limit {
            return Err(too_long());
        }
        if self.body.is_end_stream() {
            return Ok(first);
        }
        let Some(second) = self.chunk().await? else {
            return Ok(first);
        };
        let mut whole = BytesMut::with_capacity(announced.max(first.len() + second.len()));
        whole.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(piece) = next {
            if whole.len() + piece.len() > limit {
                return Err(too_long());
            }
            whole.extend_from_slice(&piece);
            next = self.chunk().await?;
        }
        Ok(whole.freeze())
    }

    /// The beginning of the body, whatever happens to the rest of it; for errors.
    pub async fn beginning(mut self, limit: usize) -> Bytes {
        let mut kept = BytesMut::new();
        while let Ok(Some(piece)) = self.chunk().await {
            let room = limit - kept.len();
            kept.extend_from_slice(piece.get(..room).unwrap_or(&piece));
            if kept.len() >= limit {
                break;
            }
        }
        kept.freeze()
    }

    /// Encoded bytes are not decoded here, so they cannot burst either.
    fn refuse_encoding(&self) -> Result<(), Error> {
        match self.headers.get(header::CONTENT_ENCODING) {
            None => Ok(()),
            Some(encoding) if encoding.as_bytes().eq_ignore_ascii_case(b"identity") => Ok(()),
            Some(_) => Err(Error::protocol(
                "the answer has a content encoding that was not asked for",
            )),
        }
    }
}

/// Shows the status, and the media type if it is one of ours; headers and body may hold anything.
impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = ["application/json", "text/event-stream"];
        let known = known.into_iter().find(|known| self.is(known));
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("content_type", &known)
            .finish_non_exhaustive()
    }
}
