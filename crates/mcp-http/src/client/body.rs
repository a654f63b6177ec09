//! What a request carries, and whether it has left: a request waits for its connection first, and
//! one that is given up until then was never heard of at the other end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A body in one piece, which a connection takes when it writes it.
#[derive(Debug)]
pub(crate) struct RequestBody {
    bytes: Bytes,
    departure: Option<Departure>,
}

/// Whether a request's body has left. An empty one never does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Departure(Arc<AtomicU8>);

/// Where a body is.
const HERE: u8 = 0;
const LEFT: u8 = 1;
const HELD_BACK: u8 = 2;

/// The request was given up before any of its body was written.
#[derive(Debug, thiserror::Error)]
#[error("the request was given up")]
pub(crate) struct HeldBack;

impl RequestBody {
    pub(crate) fn new(bytes: Bytes, departure: Option<Departure>) -> Self {
        Self { bytes, departure }
    }

    /// What it was made of, of one that has not left.
    pub(crate) fn into_parts(self) -> (Bytes, Option<Departure>) {
        (self.bytes, self.departure)
    }
}

impl Departure {
    /// Keeps the body here, if it still is. Gives whether it has left, so that the server may have
    /// got it.
    pub(crate) fn hold_back(&self) -> bool {
        self.go(HELD_BACK) == LEFT
    }

    /// Where the body is from now on: the first word counts.
    fn go(&self, to: u8) -> u8 {
        match (self.0).compare_exchange(HERE, to, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => to,
            Err(before) => before,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = HeldBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HeldBack>>> {
        let departure = self.departure.as_ref();
        if departure.is_some_and(|departure| departure.go(LEFT) == HELD_BACK) {
            return Poll::Ready(Some(Err(HeldBack)));
        }
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    fn body() -> (RequestBody, Departure) {
        let departure = Departure::default();
        let body = RequestBody::new(Bytes::from_static(b"{}"), Some(departure.clone()));
        (body, departure)
    }

    #[tokio::test]
    async fn what_was_written_is_not_held_back() {
        let (body, departure) = body();
        assert_eq!(&body.collect().await.unwrap().to_bytes()[..], b"{}");
        assert!(departure.hold_back());
    }

    #[tokio::test]
    async fn what_was_held_back_is_not_written() {
        let (body, departure) = body();
        assert!(!departure.hold_back());
        assert!(body.collect().await.is_err());
        assert!(!departure.hold_back());
    }
}
