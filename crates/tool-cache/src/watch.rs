//! Calls that are refused say that what is cached may no longer be seen.

use std::fmt;
use std::sync::Weak;

use mcp_adapter::{Middleware, ToolInvocation};
use mcp_core::auth::MaybeReady;
use mcp_core::replicas::Cause;
use mcp_core::{Error, ToolOutput};

use crate::store::Store;

/// A middleware that forgets what its cache has of a principal at a server, with whatever
/// credentials, when a call is refused there (401, 403, or no authorization any more). Made by
/// [`ToolCache::watch`](crate::ToolCache::watch).
///
/// It does not keep the cache alive: sets in the cache hold it.
#[derive(Clone)]
pub struct CacheWatch(pub(crate) Weak<Store>);

impl Middleware for CacheWatch {
    fn after_tool_call<'a>(
        &'a self,
        call: &'a ToolInvocation<'_>,
        outcome: &'a mut Result<ToolOutput, Error>,
    ) -> MaybeReady<'a, ()> {
        let refused = outcome
            .as_ref()
            .is_err_and(|error| error.kind().is_refusal());
        match self.0.upgrade().filter(|_| refused) {
            None => MaybeReady::ready(()),
            Some(store) => MaybeReady::new(async move {
                let (principal, server) = (call.principal(), call.server());
                store
                    .invalidate_principal_at(principal, server, Cause::Refused)
                    .await;
            }),
        }
    }
}

impl fmt::Debug for CacheWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheWatch")
    }
}
