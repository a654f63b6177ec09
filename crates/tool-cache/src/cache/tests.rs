//! What two users and a clock can do to a cache.

mod catalog;
mod invalidation;
mod life;
mod replicas;
mod sharing;
mod stale;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mcp_core::{
    BoxFuture, CacheScope, ErrorKind, Failure, ServerInfo, ToolCall, ToolDefinition, ToolOutput,
    ToolServer, Transport,
};
use serde_json::json;
use tokio::sync::Semaphore;

use super::*;

/// Lists one tool that is named after who asks, unless told otherwise.
#[derive(Debug)]
struct Lister {
    id: ServerId,
    lists: AtomicUsize,
    ttl: Option<Duration>,
    scope: CacheScope,
    /// Lists wait for a permit.
    gate: Option<Semaphore>,
    /// The next lists fail so.
    failures: Mutex<Vec<Failure>>,
    /// Calls are refused.
    refuses: AtomicBool,
}

impl Lister {
    fn new() -> Self {
        Self {
            id: ServerId::new("s").unwrap(),
            lists: AtomicUsize::new(0),
            ttl: None,
            scope: CacheScope::Private,
            gate: None,
            failures: Mutex::default(),
            refuses: AtomicBool::new(false),
        }
    }

    /// Its next list fails because nobody is there.
    fn fails_once(&self) {
        let peer = "nowhere".to_owned();
        let failure = Failure::Connect { peer, source: None };
        self.failures.lock().unwrap().push(failure);
    }

    fn lists(&self) -> usize {
        self.lists.load(Ordering::SeqCst)
    }
}

impl ToolServer for Lister {
    fn id(&self) -> &ServerId {
        &self.id
    }

    fn transport(&self) -> Transport {
        Transport::Local
    }

    fn list_tools<'a>(
        &'a self,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolListing, Error>> {
        Box::pin(async move {
            self.lists.fetch_add(1, Ordering::SeqCst);
            if let Some(gate) = &self.gate {
                let work = async {
                    gate.acquire().await.unwrap().forget();
                    Ok(())
                };
                context
                    .bound(Duration::from_secs(600), "listing", work)
                    .await?;
            }
            if let Some(failure) = self.failures.lock().unwrap().pop() {
                return Err(failure.into());
            }
            let mut listing = ToolListing::new(ServerInfo::default());
            let name = format!("tool_of_{}", context.principal.user());
            let tool = ToolDefinition::from_parts(&name, "", &json!({})).unwrap();
            listing.tools.push(Arc::new(tool));
            listing.ttl = self.ttl;
            listing.cache_scope = self.scope;
            Ok(listing)
        })
    }

    fn call_tool<'a>(
        &'a self,
        _call: ToolCall<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        Box::pin(async {
            if self.refuses.load(Ordering::SeqCst) {
                let detail = String::new();
                return Err(Failure::Forbidden { detail }.into());
            }
            Ok(context.principal.to_string().into())
        })
    }
}

fn who(name: &str) -> Principal {
    Principal::new(name).unwrap()
}

fn token(of: &str) -> Credentials {
    Credentials::bearer(format!("test-token-{of}")).unwrap()
}

fn builder(server: &Arc<Lister>, name: &str) -> ToolSetBuilder {
    let server: Arc<dyn ToolServer> = Arc::<Lister>::clone(server);
    ToolSet::builder(server).principal(who(name))
}

async fn load(cache: &ToolCache, server: &Arc<Lister>, name: &str) -> Result<String, Error> {
    let context = CallContext::new(who(name));
    let set = cache
        .get_or_load(&builder(server, name), &token(name), &context)
        .await?;
    let tool = set.iter().next().unwrap();
    assert_eq!(tool.principal(), Some(&who(name)));
    Ok(tool.name().to_owned())
}
