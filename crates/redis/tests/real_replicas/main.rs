//! Replicas on a real Redis: what one forgets, all forget; what all call, all count.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

mod away;
mod catalog;
mod invalidation;
mod missed;
mod quota;

use std::sync::Arc;
use std::time::Duration;

use mcp_adapter::{ToolSet, ToolSetBuilder};
use mcp_auth::time::Instant;
use mcp_core::auth::Credentials;
use mcp_core::testing::FakeServer;
use mcp_core::{CallContext, Principal, ServerId, ToolServer};
use mcp_redis::{Redis, RedisBus, RedisConfig};
use mcp_tool_cache::{ToolCache, ToolCacheBuilder};
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);
/// No test waits longer for what has to come.
const DEADLINE: Duration = Duration::from_secs(20);
/// How often replicas of a test look whether they missed something.
const CHECK: Duration = Duration::from_millis(100);

fn redis(url: &str) -> Redis {
    let config = RedisConfig::from_url(url).unwrap();
    config.open().unwrap()
}

fn who(name: &str) -> Principal {
    Principal::in_tenant("acme", name).unwrap()
}

fn server_id() -> ServerId {
    ServerId::new("s").unwrap()
}

/// Waits until something is so; says what if it never is.
async fn until(what: &str, mut so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < DEADLINE, "{what}: not after {DEADLINE:?}");
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    began.elapsed()
}

/// Lists one tool to everybody.
fn lister() -> FakeServer {
    FakeServer::new("s").tool("tool", &json!({}))
}

/// A process of a platform, as far as it matters here: connections and a cache of its own.
struct Replica {
    bus: RedisBus,
    cache: ToolCache,
    server: Arc<FakeServer>,
}

impl Replica {
    /// One that is connected.
    async fn start(url: &str) -> Self {
        let replica = Self::starting(url);
        replica.connected().await;
        replica
    }

    /// Two that are connected.
    async fn pair(url: &str) -> (Self, Self) {
        (Self::start(url).await, Self::start(url).await)
    }

    fn starting(url: &str) -> Self {
        Self::with(url, lister(), |cache| {
            cache.away_ttl(Duration::from_millis(300))
        })
    }

    /// One with this server, whose cache is set up so.
    fn with(
        url: &str,
        server: FakeServer,
        set: impl FnOnce(ToolCacheBuilder) -> ToolCacheBuilder,
    ) -> Self {
        let bus = RedisBus::checking(redis(url), CHECK);
        let cache = set(ToolCache::builder().bus(Arc::new(bus.clone()))).build();
        let server = Arc::new(server);
        Self { bus, cache, server }
    }

    async fn connected(&self) {
        until("the replica is connected", || !self.cache.stats().away).await;
    }

    fn builder(&self, name: &str) -> ToolSetBuilder {
        let server: Arc<dyn ToolServer> = Arc::<FakeServer>::clone(&self.server);
        ToolSet::builder(server).principal(who(name))
    }

    async fn load(&self, name: &str) {
        let context = CallContext::new(who(name));
        let (made, credentials) = (self.builder(name), token(name));
        let set = self.cache.get_or_load(&made, &credentials, &context).await;
        assert_eq!(set.unwrap().len(), 1);
    }

    async fn holds(&self, name: &str) -> bool {
        let held = self.cache.get(&self.builder(name), &token(name)).await;
        held.is_some()
    }

    /// Loads until what was loaded is there a moment later: briefly kept is soon gone on a busy
    /// machine.
    async fn keeps(&self, name: &str) {
        let began = Instant::now();
        while {
            self.load(name).await;
            !self.holds(name).await
        } {
            assert!(began.elapsed() < DEADLINE, "{name} is never there");
        }
    }

    /// Waits until nothing of a user is there any more.
    async fn forgets(&self, name: &str) -> Duration {
        let began = Instant::now();
        while self.holds(name).await {
            assert!(began.elapsed() < DEADLINE, "{name} is still there");
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        began.elapsed()
    }

    fn gaps(&self) -> u64 {
        self.cache.stats().gaps
    }
}

fn token(of: &str) -> Credentials {
    Credentials::bearer(format!("test-token-{of}")).unwrap()
}
