//! Opening a connection, and whose task it then is.

use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service as _;

use super::super::body::RequestBody;
use super::super::connect::{ConnectFailure, Connector};
use super::super::url::HttpUrl;

/// How often a connection that many share is asked whether it is still there, while it is used.
const PING_EVERY: Duration = Duration::from_secs(20);

/// How long it may take to say so.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// A new connection, by what was agreed on.
pub(super) enum Dialled {
    /// HTTP/1.1: for one request at a time.
    Alone(http1::SendRequest<RequestBody>),
    /// HTTP/2: for many.
    Shared(http2::SendRequest<RequestBody>),
}

/// Opens a connection. Its task ends once nobody can send on it any more, or it is lost.
pub(super) async fn dial(connector: &Connector, url: &HttpUrl) -> Result<Dialled, ConnectFailure> {
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
        tokio::spawn(async move { ended(connection.await) });
        return Ok(Dialled::Shared(sender));
    }
    let (mut sender, connection) = http1::handshake(stream).await.map_err(failed)?;
    tokio::spawn(async move { ended(connection.await) });
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
