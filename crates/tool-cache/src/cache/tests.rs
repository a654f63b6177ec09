//! What two users and a clock can do to a cache.

mod catalog;
mod invalidation;
mod life;
mod replicas;
mod sharing;
mod stale;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_adapter::{ToolSet, ToolSetBuilder};
use mcp_core::auth::Credentials;
use mcp_core::auth::time::Instant;
use mcp_core::replicas::Cause;
use mcp_core::testing::FakeServer;
use mcp_core::{
    BoxFuture, CallContext, Error, ErrorKind, Failure, Principal, ServerId, ToolServer,
};
use serde_json::json;

use crate::{CacheKey, CacheMode, ToolCache};

const SECOND: Duration = Duration::from_secs(1);

/// Lists one tool that is named after who asks, and answers calls with who called.
fn lister() -> FakeServer {
    let definition = |context: &CallContext| {
        let name = format!("tool_of_{}", context.principal.user());
        vec![json!({ "name": name, "inputSchema": {} }).to_string()]
    };
    FakeServer::new("s")
        .personal(definition)
        .answering(|_, context| Box::pin(async { Ok(context.principal.to_string().into()) }))
}

fn server_id() -> ServerId {
    ServerId::new("s").unwrap()
}

/// Nobody is there.
fn unreachable() -> Failure {
    let peer = "nowhere".to_owned();
    Failure::Connect { peer, source: None }
}

fn refusal() -> Failure {
    let detail = String::new();
    Failure::Forbidden { detail }
}

/// Lets the caches' tasks run.
async fn settled() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn who(name: &str) -> Principal {
    Principal::new(name).unwrap()
}

fn token(of: &str) -> Credentials {
    Credentials::bearer(format!("test-token-{of}")).unwrap()
}

fn builder(server: &Arc<FakeServer>, name: &str) -> ToolSetBuilder {
    let server: Arc<dyn ToolServer> = Arc::<FakeServer>::clone(server);
    ToolSet::builder(server).principal(who(name))
}

async fn load(cache: &ToolCache, server: &Arc<FakeServer>, name: &str) -> Result<String, Error> {
    let context = CallContext::new(who(name));
    let set = cache
        .get_or_load(&builder(server, name), &token(name), &context)
        .await?;
    let tool = set.iter().next().unwrap();
    assert_eq!(tool.principal(), Some(&who(name)));
    Ok(tool.name().to_owned())
}
