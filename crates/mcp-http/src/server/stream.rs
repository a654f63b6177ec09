//! HTTP+SSE (2024-11-05, basic/transports): answers on one stream, requests beside it.

mod beside;
mod channel;
mod open;

use std::sync::Arc;

use mcp_core::duplex::Duplex;
use mcp_core::{CallContext, Error, ErrorKind, ToolListing};
use tokio::task::JoinSet;

use super::Inner;
use super::fault::Fault;
use super::rpc::{Fields, Rpc};
use super::take::Take;

/// An open stream of one principal. Dropping it closes the stream and ends its tasks.
#[derive(Debug)]
pub(crate) struct Stream {
    duplex: Arc<Duplex>,
    /// The reader, and what runs beside it.
    _tasks: JoinSet<()>,
}

impl Stream {
    /// Whether what failed like this is to be asked over another stream.
    fn is_lost(&self, error: &Error, is_repeatable: bool) -> bool {
        match error.kind() {
            ErrorKind::SessionLost => true,
            // What broke a bound or the protocol would break it again.
            ErrorKind::Connect => is_repeatable && self.duplex.closed().is_some(),
            _ => false,
        }
    }
}

impl Inner {
    /// Asks over the principal's stream. A request that met no session is asked once more over a
    /// new one: it has not run. So is one that may run twice, when the stream ended under it.
    pub(crate) async fn over_stream<T>(
        &self,
        rpc: &Rpc<'_>,
        context: &CallContext,
        take: &mut impl Take<T>,
    ) -> Result<T, Fault> {
        let mut lost = None;
        loop {
            let stream = self.stream(context, lost.as_ref()).await?;
            let duplex = &stream.duplex;
            let _place = self.shares.place(context).await?;
            let asked = match rpc.fields {
                Fields::Call(call) => (duplex.call_tool(call, context).await)
                    .and_then(|output| take.take_output(output)),
                _ => (duplex.request(rpc.method, &rpc.params(), context).await)
                    .and_then(|result| take.take(&result)),
            };
            match asked {
                Err(error) if lost.is_none() && stream.is_lost(&error, rpc.is_repeatable()) => {
                    lost = Some(stream);
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    pub(crate) async fn list_over_stream(
        &self,
        context: &CallContext,
    ) -> Result<ToolListing, Fault> {
        let mut lost = None;
        loop {
            let stream = self.stream(context, lost.as_ref()).await?;
            let _place = self.shares.place(context).await?;
            match stream.duplex.list_tools(context).await {
                Err(error) if lost.is_none() && stream.is_lost(&error, true) => {
                    lost = Some(stream);
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    /// The principal's stream; a new one if there is none, or none but the one that was lost.
    pub(crate) async fn stream(
        &self,
        context: &CallContext,
        lost: Option<&Arc<Stream>>,
    ) -> Result<Arc<Stream>, Fault> {
        let is_lost = |stream: &Arc<Stream>| lost.is_some_and(|lost| Arc::ptr_eq(lost, stream));
        self.streams
            .usable(
                &context.principal,
                |stream| stream.duplex.closed().is_none() && !is_lost(stream),
                || self.open_stream(context),
            )
            .await
    }
}
