//! Requests that nobody waits for any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mcp_core::CallContext;
use mcp_core::auth::Principal;
use serde_json::Map;

use super::super::Inner;
use super::super::fault::Fault;
use super::Session;

/// Tells the server when nobody waits for an answer any more (2025-11-25,
/// basic/utilities/cancellation): there, a closed connection means nothing.
pub(super) struct CancelOnDrop<'a> {
    pub(super) server: &'a Inner,
    pub(super) session: &'a Arc<Session>,
    pub(super) principal: &'a Principal,
    pub(super) id: u64,
    /// Whether the server may be at work on it: what was not sent, or is answered, is not cancelled.
    pub(super) under_way: &'a AtomicBool,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if !self.under_way.load(Ordering::Relaxed) {
            return;
        }
        let (id, session) = (self.id, Arc::clone(self.session));
        let principal = self.principal.clone();
        self.server.farewell(move |server| async move {
            let mut params = Map::new();
            params.insert("requestId".to_owned(), id.into());
            let context = CallContext::new(principal).with_timeout(server.limits.close_timeout);
            let told = async {
                server
                    .notify(&session.key, "notifications/cancelled", &params, &context)
                    .await
                    .map_err(Fault::into_error)
            };
            let limit = server.limits.close_timeout;
            if let Err(error) = context.bound(limit, "cancelling a request", told).await {
                tracing::debug!(%error, "a cancellation did not arrive");
            }
        });
    }
}
