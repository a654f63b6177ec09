//! What the platform knows: its callers, where their tokens come from, the MCP servers.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use mcp_testbed::embedded::{EmbeddedServer, TokenIssuer};
use mcp_toolkit::auth::{
    Combined, Headers, MemoryStore, PerPrincipal, RefreshingToken, SealingKeys, ServerId,
    SharedStore, Token, TokenContext, TokenKey,
};
use mcp_toolkit::http::HttpUrl;
use mcp_toolkit::middleware::{Audit, RateLimit, SharedLimit, WhenAway};
use mcp_toolkit::oauth::OAuth;
use mcp_toolkit::redis::{RedisBus, RedisConfig, RedisQuota, RedisTokenStore};
use mcp_toolkit::{Error, McpToolkit, Principal, load_mcp_tools_http};

use crate::McpServers;

/// Calls of one principal in a minute, over all servers.
const CALLS: NonZeroU32 = NonZeroU32::new(5).unwrap();
const MINUTE: Duration = Duration::from_secs(60);

/// Where users come back to: the load balancer, which picks any replica.
pub(crate) const CALLBACK: &str = "https://agents.example.test/callback";

/// One value for the whole service. Cloning copies pointers.
#[derive(Clone)]
pub(crate) struct Platform {
    pub(crate) toolkit: McpToolkit,
    /// Who takes what users bring back from consenting.
    pub(crate) consent: Option<OAuth>,
    callers: Arc<HashMap<String, Principal>>,
}

impl Platform {
    /// Alone, with servers that take a token of each user.
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
            .middleware(RateLimit::new(CALLS, MINUTE))
            .build()?;
        Self::with(toolkit, None)
    }

    /// One of many: a server that wants its users' consent, and in Redis what all have to share.
    pub(crate) fn replica(calendar: &str, redis: &str) -> Result<Self, Box<dyn StdError>> {
        let redis = RedisConfig::from_url(redis)?.open()?;
        // Out of a secret store, the same for all replicas.
        let keys = SealingKeys::new(&"test-key-of-at-least-thirty-two-bytes".into())?;
        let store: SharedStore = Arc::new(RedisTokenStore::new(redis.clone(), keys));
        let oauth = OAuth::builder(ServerId::new("calendar")?, HttpUrl::parse(calendar)?)
            .redirect_uri(CALLBACK)
            .store(store)
            .build();
        let quota = RedisQuota::new(redis.clone());
        let quota = SharedLimit::new("calls", Arc::new(quota), WhenAway::Allow);
        let toolkit = McpToolkit::builder()
            .server("calendar", load_mcp_tools_http(calendar))
            .credentials("calendar", oauth.clone())
            .bus(Arc::new(RedisBus::new(redis)))
            .middleware(Audit::new())
            .middleware(RateLimit::new(CALLS, MINUTE).shared(quota))
            .build()?;
        Ok(Self::with(toolkit, Some(oauth))?)
    }

    fn with(toolkit: McpToolkit, consent: Option<OAuth>) -> Result<Self, Error> {
        let mut callers = HashMap::new();
        for (tenant, user) in [("acme", "alice"), ("globex", "bob"), ("initech", "carol")] {
            let principal = Principal::in_tenant(tenant, user)?;
            callers.insert(format!("test-key-{user}"), principal);
        }
        let callers = Arc::new(callers);
        Ok(Self {
            toolkit,
            consent,
            callers,
        })
    }

    /// Who has this key. A platform looks into its session or verifies a JWT here.
    pub(crate) fn caller(&self, key: &str) -> Option<Principal> {
        self.callers.get(key).cloned()
    }
}

/// Where tokens are kept: here.
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
