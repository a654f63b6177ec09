//! What was put together for a principal, so that the next request finds it in one look.

use std::sync::Arc;
use std::time::Duration;

use mcp_auth::Fingerprint;
use mcp_auth::time::Instant;
use mcp_core::Principal;
use moka::sync::Cache;

use super::PrincipalTools;

/// Principals whose tools are held together. Others' tools come out of the cache of single servers.
const PRINCIPALS: u64 = 10_000;

/// What never changes is looked at again after this all the same.
pub(super) const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Memory is given back after this, whatever ends the entries have.
const IDLE: Duration = Duration::from_secs(5 * 60);

pub(super) struct Hot(Cache<Principal, Arc<Memo>>);

/// Good while the cache's number for the principal is this, and the credentials are these.
pub(super) struct Memo {
    pub(super) epoch: u64,
    pub(super) until: Instant,
    /// For each server; nothing where there is no server.
    pub(super) credentials: Box<[Option<Fingerprint>]>,
    pub(super) tools: PrincipalTools,
}

impl Hot {
    pub(super) fn new() -> Self {
        let cache = Cache::builder().max_capacity(PRINCIPALS).time_to_idle(IDLE);
        Self(cache.build())
    }

    pub(super) fn get(&self, principal: &Principal) -> Option<Arc<Memo>> {
        self.0.get(principal)
    }

    pub(super) fn put(&self, principal: &Principal, memo: Memo) {
        self.0.insert(principal.clone(), Arc::new(memo));
    }

    pub(super) fn forget(&self, principal: &Principal) {
        self.0.invalidate(principal);
    }

    pub(super) fn clear(&self) {
        self.0.invalidate_all();
    }
}
