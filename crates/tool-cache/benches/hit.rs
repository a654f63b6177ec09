//! A cached set. Run with `cargo bench -p mcp-tool-cache`.

#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to tell")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use divan::Bencher;
use mcp_adapter::ToolSet;
use mcp_core::auth::Credentials;
use mcp_core::{
    BoxFuture, CallContext, Error, Principal, ServerId, ServerInfo, ToolCall, ToolDefinition,
    ToolListing, ToolOutput, ToolServer, Transport,
};
use mcp_tool_cache::ToolCache;
use serde_json::json;

fn main() {
    divan::main();
}

#[derive(Debug)]
struct Fifty(ServerId);

impl ToolServer for Fifty {
    fn id(&self) -> &ServerId {
        &self.0
    }

    fn transport(&self) -> Transport {
        Transport::Local
    }

    fn list_tools<'a>(
        &'a self,
        _context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolListing, Error>> {
        Box::pin(async {
            let mut listing = ToolListing::new(ServerInfo::default());
            for n in 0..50 {
                let tool = ToolDefinition::from_parts(&format!("t{n}"), "", &json!({})).unwrap();
                listing.tools.push(Arc::new(tool));
            }
            Ok(listing)
        })
    }

    fn call_tool<'a>(
        &'a self,
        _call: ToolCall<'a>,
        _context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        Box::pin(async { Ok("ok".into()) })
    }
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a hit waits for nothing"),
    }
}

#[divan::bench]
fn hit(bencher: Bencher<'_, '_>) {
    let alice = Principal::new("alice").unwrap();
    let server: Arc<dyn ToolServer> = Arc::new(Fifty(ServerId::new("s").unwrap()));
    let builder = ToolSet::builder(server).principal(alice.clone());
    let credentials = Credentials::bearer("test-token-alice").unwrap();
    let context = CallContext::new(alice);
    let cache = ToolCache::new();
    at_once(cache.get_or_load(&builder, &credentials, &context)).unwrap();
    bencher.bench(|| at_once(cache.get_or_load(&builder, &credentials, &context)).unwrap());
}
