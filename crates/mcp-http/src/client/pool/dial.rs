//! Opening a connection, and whose task it then is.

use std::convert::Infallible;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Weak;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::oneshot;
use tower_service::Service as _;

use super::super::body::RequestBody;
use super::super::connect::{ConnectFailure, Connector};
use super::super::url::HttpUrl;
use super::origin::Origin;

/// How often a connection that many share is asked whether it is still there, while it is used.
const PING_EVERY: Duration = Duration::from_secs(20);

/// How long it may take to say so.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection may take to close that nobody sends on any more. It writes what it still
/// has, and its server may read nothing.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// The end of an HTTP/1.1 connection that requests go in at. Its connection closes with it.
pub(super) struct Sender {
    sender: http1::SendRequest<RequestBody>,
    /// Tells the connection's task when this is dropped.
    _closing: oneshot::Sender<Infallible>,
}

impl Deref for Sender {
    type Target = http1::SendRequest<RequestBody>;

    fn deref(&self) -> &Self::Target {
        &self.sender
    }
}

impl DerefMut for Sender {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.sender
    }
}

impl Sender {
    /// Serves a connection in a task of its own, which ends with it.
    pub(super) fn serve<C>(sender: http1::SendRequest<RequestBody>, connection: C) -> Self
    where
        C: Future<Output = Result<(), hyper::Error>> + Send + 'static,
    {
        let (closing, closed) = oneshot::channel();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let outcome = tokio::select! {
                biased;
                outcome = &mut connection => outcome,
                _ = closed => {
                    let closing = tokio::time::timeout(CLOSE_WITHIN, connection);
                    closing.await.unwrap_or(Ok(()))
                }
            };
            ended(outcome);
        });
        Self {
            sender,
            _closing: closing,
        }
    }
}

/// A new connection, by what was agreed on.
pub(super) enum Dialled {
    /// HTTP/1.1: for one request at a time.
    Alone(Sender),
    /// HTTP/2: for many.
    Shared(http2::SendRequest<RequestBody>),
}

/// Opens a connection. Its task ends once nobody can send on it any more, or it is lost.
pub(super) async fn dial(
    connector: &Connector,
    url: &HttpUrl,
    origin: Weak<Origin>,
) -> Result<Dialled, ConnectFailure> {
    let stream = connector.clone().call(url.uri().clone()).await?;
    let failed = |error: hyper::Error| ConnectFailure::Lost(error.into());
    if stream.connected().is_negotiated_h2() {
        let opening = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN)
            .handshake(stream);
        let (sender, connection) = opening.await.map_err(failed)?;
        tokio::spawn(async move {
            ended(connection.await);
            // Requests that it did not take wait until nobody could add to them.
            if let Some(origin) = origin.upgrade() {
                origin.forget_closed();
            }
        });
        return Ok(Dialled::Shared(sender));
    }
    let (sender, connection) = http1::handshake(stream).await.map_err(failed)?;
    let mut sender = Sender::serve(sender, connection);
    // It is good for others, too, once its task has begun.
    sender.ready().await.map_err(failed)?;
    Ok(Dialled::Alone(sender))
}

/// Whoever waits for an answer hears of it there.
fn ended(outcome: Result<(), hyper::Error>) {
    if let Err(error) = outcome {
        tracing::trace!(%error, "a connection ended");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;
    use http::Request;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, DuplexStream};
    use tokio::task::yield_now;
    use tokio::time::sleep;

    use super::*;

    /// How much a peer takes that reads nothing.
    pub(in super::super) const TAKEN: usize = 64;

    /// A connection, and its other end.
    pub(in super::super) async fn opened() -> (Sender, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(TAKEN);
        let opening = http1::handshake(TokioIo::new(ours));
        let (sender, connection) = opening.await.unwrap();
        let mut sender = Sender::serve(sender, connection);
        sender.ready().await.unwrap();
        (sender, theirs)
    }

    /// More than such a peer takes.
    pub(in super::super) fn long_request() -> Request<RequestBody> {
        let body = RequestBody::new(Bytes::from(vec![b'x'; 100 * TAKEN]), None);
        Request::post("/").body(body).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_peer_reads_nothing_is_closed_all_the_same() {
        let (mut sender, mut theirs) = opened().await;
        tokio::select! {
            biased;
            sent = sender.try_send_request(long_request()) => panic!("{:?}", sent.is_ok()),
            () = yield_now() => {}
        }
        drop(sender);
        sleep(2 * CLOSE_WITHIN).await;
        let mut read = Vec::new();
        theirs.read_to_end(&mut read).await.unwrap();
        assert_eq!(read.len(), TAKEN);
    }
}
