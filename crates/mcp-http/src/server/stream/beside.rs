//! What goes on beside the requests while a stream is open, each in a task of the stream's.

use std::error::Error as StdError;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mcp_core::auth::Principal;
use mcp_core::duplex::Duplex;
use mcp_core::{CallContext, Error, Failure};
use tokio::sync::{mpsc, watch};

use super::super::Inner;
use super::super::fault::Fault;
use super::open::Opened;
use crate::client::HttpUrl;

/// A connection that is gone: not what a server of any version does while somebody waits for it.
#[derive(Debug, thiserror::Error)]
#[error("the stream ended")]
struct StreamEnded(#[source] Option<Arc<dyn StdError + Send + Sync>>);

/// Hands over what comes until the stream ends; whoever waits then hears of it.
pub(super) async fn read(duplex: Arc<Duplex>, opened: Opened) {
    let Opened {
        endpoint,
        mut response,
        mut decoder,
        rest,
        ..
    } = opened;
    let lost = |why| Failure::Connect {
        peer: endpoint.peer().to_owned(),
        source: Some(Arc::new(StreamEnded(why))),
    };
    let mut chunk = rest;
    let ended = loop {
        let mut rest: &[u8] = &chunk;
        let delivered = loop {
            match decoder.read(&mut rest) {
                Ok(None) => break Ok(()),
                Ok(Some(event)) => {
                    if event.is_message()
                        && let Err(error) = duplex.deliver(event.data)
                    {
                        break Err(error);
                    }
                }
                Err(error) => break Err(error),
            }
        };
        if let Err(error) = delivered {
            break error;
        }
        // A server that restarts ends its streams in good order, or not.
        match response.chunk().await {
            Ok(Some(next)) => chunk = next,
            Ok(None) => break lost(None).into(),
            Err(error) => break lost(cause_of(&error)).into(),
        }
    };
    tracing::debug!(error = %ended, "a stream ended");
    duplex.close(&ended);
}

fn cause_of(error: &Error) -> Option<Arc<dyn StdError + Send + Sync>> {
    match error.failure() {
        Failure::Protocol { source, .. } => source.clone(),
        _ => None,
    }
}

/// Lets the handler answer what the server asks.
pub(super) async fn answer_requests(duplex: Arc<Duplex>, principal: Principal, limit: Duration) {
    match duplex.answer_requests(&principal, limit).await {}
}

/// Hands on that the tools changed.
pub(super) async fn tell_changes(server: Weak<Inner>, mut changes: watch::Receiver<u64>) {
    while changes.changed().await.is_ok() {
        let Some(server) = server.upgrade() else {
            return;
        };
        server.tools_changed();
    }
}

/// Sends what nobody waits for, each within its own deadline.
pub(super) async fn post_queued(
    server: Weak<Inner>,
    endpoint: HttpUrl,
    principal: Principal,
    mut queue: mpsc::Receiver<Vec<u8>>,
) {
    while let Some(message) = queue.recv().await {
        let Some(server) = server.upgrade() else {
            return;
        };
        let limit = server.limits.close_timeout;
        let context = CallContext::new(principal.clone()).with_timeout(limit);
        let posted = async {
            let posted = server.post_to(&endpoint, message, None, &context, None);
            let posted = posted.await;
            posted.map(drop).map_err(Fault::into_error)
        };
        if let Err(error) = context.bound(limit, "telling the server", posted).await {
            tracing::debug!(%error, "a message did not arrive");
        }
    }
}
