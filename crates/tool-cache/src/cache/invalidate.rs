//! What a cache forgets when it is told to, and whom it tells in turn.

use mcp_core::replicas::{Cause, Invalidation, PrincipalTag};
use mcp_core::{Principal, ServerId};

use super::ToolCache;
use crate::CacheKey;

impl ToolCache {
    /// Forgets one set. Other replicas, which cannot compare credentials, forget all that the
    /// principal has of the server.
    pub async fn invalidate(&self, key: &CacheKey) {
        let (principal, server) = (&key.principal, &key.server);
        self.store
            .tell(|| Invalidation::of_principal(principal, Some(server), Cause::Refused));
        self.store.forget(key).await;
    }

    /// Forgets everything of a principal, on all servers: for a logout.
    pub async fn invalidate_principal(&self, principal: &Principal) {
        let store = &self.store;
        store.tell(|| Invalidation::of_principal(principal, None, Cause::LoggedOut));
        let group = PrincipalTag::shard_of(principal);
        let fits = |key: &CacheKey| key.principal == *principal;
        store.forget_where(&[Some(group)], fits).await;
    }

    /// Forgets what a principal has of a server, with whatever credentials: after a 401 or 403 (see
    /// [`watch`](Self::watch)).
    pub async fn invalidate_principal_at(&self, principal: &Principal, server: &ServerId) {
        self.store
            .invalidate_principal_at(principal, server, Cause::Refused)
            .await;
    }

    /// [`invalidate_principal_at`](Self::invalidate_principal_at) for a logout: whoever listens to
    /// the [bus](crate::ToolCacheBuilder::bus) of this cache learns that it was one.
    pub async fn invalidate_logged_out(&self, principal: &Principal, server: &ServerId) {
        self.store
            .invalidate_principal_at(principal, server, Cause::LoggedOut)
            .await;
    }

    /// Forgets everything of a server: after `tools/list_changed`, or when its definitions differ
    /// from those that were approved. However often it is called, the next who asks loads once.
    pub async fn invalidate_server(&self, server: &ServerId) {
        self.store
            .tell(|| Invalidation::of_server(server, Cause::ToolsChanged));
        self.forget_server(server).await;
        self.store.forget_found(server).await;
    }

    /// Forgets everything of a server here, and tells nobody: for one replica that ends.
    pub async fn forget_server(&self, server: &ServerId) {
        let now = self.store.clock.wall();
        self.store.forget_public(server, now).await;
        let fits = |key: &CacheKey| key.server == *server;
        self.store.forget_where(&[None], fits).await;
    }

    /// Forgets everything.
    pub async fn invalidate_all(&self) {
        self.store
            .tell(|| Invalidation::of_everything(Cause::Asked));
        let servers = self.store.public_servers();
        self.store.forget_all().await;
        for server in servers {
            self.store.forget_found(&server).await;
        }
    }
}
