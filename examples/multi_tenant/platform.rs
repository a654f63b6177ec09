//! What the platform knows: its callers, where their tokens come from, the MCP servers.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use mcp_testbed::embedded::{EmbeddedServer, TokenIssuer};
use mcp_toolkit::auth::{
    Combined, Headers, MemoryStore, PerPrincipal, RefreshingToken, SharedStore, Token,
    TokenContext, TokenKey,
};
use mcp_toolkit::middleware::{Audit, RateLimit};
use mcp_toolkit::{Error, McpToolkit, Principal, load_mcp_tools_http};

use crate::McpServers;

/// Calls of one principal in a minute, over all servers.
const CALLS: NonZeroU32 = NonZeroU32::new(5).unwrap();

/// One value for the whole service. Cloning copies pointers.
#[derive(Clone)]
pub(crate) struct Platform {
    pub(crate) toolkit: McpToolkit,
    callers: Arc<HashMap<String, Principal>>,
}

impl Platform {
    pub(crate) fn new(servers: &McpServers) -> Result<Self, Error> {
        let store = token_store();
        let on = |server: &EmbeddedServer| {
            load_mcp_tools_http(server.url()).credentials(tokens(server.tokens(), &store))
        };
        let toolkit = McpToolkit::builder()
            .server("notes", on(&servers.notes).prefix("notes_"))
            .server("rooms", on(&servers.rooms).prefix("rooms_"))
            // Nobody listens there. The others go on.
            .server("archive", load_mcp_tools_http("http://127.0.0.1:9/mcp"))
            .middleware(Audit::new())
            .middleware(RateLimit::new(CALLS, Duration::from_secs(60)))
            .build()?;
        let mut callers = HashMap::new();
        for (tenant, user) in [("acme", "alice"), ("globex", "bob"), ("initech", "carol")] {
            let principal = Principal::in_tenant(tenant, user)?;
            callers.insert(format!("test-key-{user}"), principal);
        }
        let callers = Arc::new(callers);
        Ok(Self { toolkit, callers })
    }

    /// Who has this key. A platform looks into its session or verifies a JWT here.
    pub(crate) fn caller(&self, key: &str) -> Option<Principal> {
        self.callers.get(key).cloned()
    }
}

/// Where tokens are kept. Replicas share a store that all of them reach.
fn token_store() -> SharedStore {
    Arc::new(MemoryStore::new())
}

/// Each user's own token, fetched when it is needed, and the tenant beside it.
fn tokens(issuer: TokenIssuer, store: &SharedStore) -> PerPrincipal {
    let store = Arc::clone(store);
    PerPrincipal::new(move |server, principal| {
        let (issuer, user) = (issuer.clone(), principal.user().to_owned());
        let token = RefreshingToken::new(move |_: TokenContext| {
            // Exchange the user's login at your identity provider here.
            let token = issuer.issue(&user);
            async move { Ok(Token::new(token.access).expires_in(token.expires_in)) }
        });
        let key = TokenKey::new(server.clone(), principal.clone());
        let tenant = principal.tenant().unwrap_or_default();
        Ok(Combined::new(
            token.store(Arc::clone(&store), key),
            Headers::new([("X-Tenant-Id", tenant)])?,
        )?)
    })
}
