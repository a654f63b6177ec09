//! What a cached set belongs to.

use mcp_adapter::ToolSetBuilder;
use mcp_core::auth::{Credentials, Fingerprint};
use mcp_core::{Principal, ServerId};

/// The server, the user with its tenant, and the credentials: three parts that are compared each on
/// its own and never joined, so that no choice of names makes two keys one.
///
/// The credentials are there as a keyed fingerprint; no key holds a token. A server's name stands
/// for one endpoint within a cache: two servers of the same name would be taken for one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct CacheKey {
    /// The server, by its name here.
    pub server: ServerId,
    /// On whose behalf.
    pub principal: Principal,
    /// With which credentials.
    pub credentials: Fingerprint,
}

impl CacheKey {
    /// A key.
    pub fn new(server: ServerId, principal: Principal, credentials: Fingerprint) -> Self {
        Self {
            server,
            principal,
            credentials,
        }
    }

    /// The key of what a builder makes with credentials.
    pub(crate) fn of(builder: &ToolSetBuilder, credentials: &Credentials) -> Self {
        let principal = builder.bound_principal().cloned().unwrap_or_default();
        Self::asked_as(principal, builder, credentials)
    }

    /// The key of what a builder makes with credentials when its server is asked as this principal:
    /// what was told to one is kept for that one, whomever the tools are bound to.
    pub(crate) fn asked_as(
        principal: Principal,
        builder: &ToolSetBuilder,
        credentials: &Credentials,
    ) -> Self {
        Self {
            server: builder.server().id().clone(),
            principal,
            credentials: credentials.fingerprint(),
        }
    }
}
