//! The server that callers see.

use std::fmt;

use mcp_auth::Principal;
use mcp_core::{
    BoxFuture, CallContext, Error, ErrorKind, Limits, ServerId, ServerOffers, ToolCall,
    ToolListing, ToolOutput, ToolServer, Transport,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::StdioServerBuilder;
use crate::connection::{Diagnostics, Lease};
use crate::pool::Pool;

/// A server whose program is started here, a child of its own for each principal.
///
/// A child is started at the first use and stays for the next one. It is stopped when the server is
/// dropped (in the background, where its runtime still runs), when nobody used it for a while, or by
/// [`close`](ToolServer::close), which waits until it is gone.
pub struct StdioServer {
    pool: Pool,
}

impl StdioServer {
    /// A server that runs this program: a name that is looked for on the child's `PATH`, or a path
    /// (a relative one begins at the child's working directory). No shell reads it.
    pub fn builder(command: impl Into<String>) -> StdioServerBuilder {
        StdioServerBuilder::new(command.into())
    }

    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// What is known about the principal's child, running or ended; `None` if there was none.
    pub fn diagnostics(&self, principal: &Principal) -> Option<Diagnostics> {
        let connection = self.pool.connection(principal)?;
        Some(connection.diagnostics())
    }

    /// Counts how often the tools of a child changed: it said so, or a child that was started in the
    /// place of another has other tools than were last listed. A storm of changes is one change for
    /// whoever looks later.
    pub fn tool_changes(&self) -> watch::Receiver<u64> {
        self.pool.plan.care.changes.subscribe()
    }

    /// Stops every child and waits until they are gone: at most the close and terminate graces.
    pub async fn close_all(&self) {
        self.pool.close_all().await;
    }

    /// Asks whether the principal's child is alive, starting it if there is none.
    ///
    /// # Errors
    /// As [`list_tools`](ToolServer::list_tools).
    pub async fn ping(&self, context: &CallContext) -> Result<(), Error> {
        let asked = async {
            let lease = self.ready(context).await?;
            lease.0.duplex.ping(context).await
        };
        asked.await.map_err(|error: Error| self.here(error))
    }

    /// The principal's child, when it is ready to be asked.
    async fn ready(&self, context: &CallContext) -> Result<Lease, Error> {
        let limit = self.pool.plan.settings.limits.startup_timeout;
        let held = self.pool.hold(&context.principal);
        let started = async {
            let lease = self.pool.acquire(&held, &context.principal).await?;
            lease.ready().await?;
            Ok(lease)
        };
        let started = context.bound(limit, "starting the server", started).await;
        started.map_err(|error| {
            if error.kind() != ErrorKind::Timeout {
                return error;
            }
            if let Some(error) = held.no_place() {
                return error;
            }
            match self.pool.connection(&context.principal) {
                Some(connection) => connection.explain(error),
                None => error,
            }
        })
    }

    fn here(&self, error: Error) -> Error {
        error.at_server(&self.pool.plan.id)
    }
}

impl ToolServer for StdioServer {
    fn id(&self) -> &ServerId {
        &self.pool.plan.id
    }

    fn transport(&self) -> Transport {
        Transport::Stdio
    }

    fn list_tools<'a>(
        &'a self,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolListing, Error>> {
        Box::pin(async move {
            let listed = async {
                let lease = self.ready(context).await?;
                let listing = lease.0.duplex.list_tools(context).await?;
                lease.0.listed.note(&listing);
                Ok(listing)
            };
            listed.await.map_err(|error: Error| self.here(error))
        })
    }

    fn call_tool<'a>(
        &'a self,
        call: ToolCall<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        Box::pin(async move {
            let called = async {
                let lease = self.ready(context).await?;
                context.record_attempt(lease.0.fingerprint);
                lease.0.duplex.call_tool(call, context).await
            };
            let called: Result<_, Error> = called.await;
            called.map_err(|error| self.here(error).for_tool(call.tool.name()))
        })
    }

    fn close<'a>(&'a self, context: &'a CallContext) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let care = &self.pool.plan.care;
            let limit = care.close.saturating_add(care.terminate).saturating_mul(2);
            let closed = async {
                self.pool.close(&context.principal).await;
                Ok(())
            };
            // Past the deadline it goes on in the child's own task.
            let _ = context.bound(limit, "stopping the server", closed).await;
        })
    }
}

impl ServerOffers for StdioServer {
    fn ask<'a>(
        &'a self,
        method: &'a str,
        params: &'a Map<String, Value>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let asked = async {
                let lease = self.ready(context).await?;
                lease.0.duplex.request(method, params, context).await
            };
            asked.await.map_err(|error: Error| self.here(error))
        })
    }

    fn limits(&self) -> &Limits {
        &self.pool.plan.settings.limits
    }
}

impl fmt::Debug for StdioServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdioServer")
            .field("id", &self.pool.plan.id)
            .field("command", &self.pool.plan.program.command)
            .finish_non_exhaustive()
    }
}
