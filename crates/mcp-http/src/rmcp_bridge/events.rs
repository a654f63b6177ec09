//! An event stream as `rmcp` reads one.

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use rmcp::transport::streamable_http_client::SseError;
use sse_stream::Sse;

use crate::client::HttpResponse;
use crate::sse::SseDecoder;

/// The events of a response, each at most `limit` bytes; nothing comes after an error.
pub(super) fn of(
    response: HttpResponse,
    limit: usize,
) -> BoxStream<'static, Result<Sse, SseError>> {
    let reading = Reading {
        response,
        decoder: SseDecoder::new(limit),
        chunk: Bytes::new(),
        told_id: None,
        ended: false,
    };
    stream::unfold(reading, |mut reading| async move {
        let next = reading.next().await?;
        reading.ended |= next.is_err();
        Some((next, reading))
    })
    .boxed()
}

/// A stream of events in the making.
struct Reading {
    response: HttpResponse,
    decoder: SseDecoder,
    chunk: Bytes,
    told_id: Option<Box<str>>,
    ended: bool,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Sse, SseError>> {
        while !self.ended {
            let chunk = std::mem::take(&mut self.chunk);
            let mut rest: &[u8] = &chunk;
            let event = match self.decoder.read(&mut rest) {
                Ok(event) => event.map(|event| (text(event.kind), text(event.data))),
                Err(error) => return Some(Err(SseError::Body(Box::new(error)))),
            };
            self.chunk = chunk.slice_ref(rest);
            if let Some((kind, data)) = event {
                return Some(Ok(self.told(kind, Some(data))));
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.chunk = chunk,
                Ok(None) => {
                    self.ended = true;
                    // An id without data is told too: the stream is resumed from there.
                    if self.decoder.last_id() != self.told_id.as_deref() {
                        return Some(Ok(self.told(String::new(), None)));
                    }
                }
                Err(error) => return Some(Err(SseError::Body(Box::new(error)))),
            }
        }
        None
    }

    fn told(&mut self, kind: String, data: Option<String>) -> Sse {
        self.told_id = self.decoder.last_id().map(Into::into);
        let retry = self.decoder.retry();
        Sse {
            event: Some(kind).filter(|kind| !kind.is_empty()),
            data,
            id: self.told_id.as_deref().map(str::to_owned),
            retry: retry.and_then(|retry| u64::try_from(retry.as_millis()).ok()),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
