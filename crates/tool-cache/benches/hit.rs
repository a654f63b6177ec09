//! A cached set. Run with `cargo bench -p mcp-tool-cache`.

#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to tell")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use divan::Bencher;
use mcp_adapter::ToolSet;
use mcp_core::auth::Credentials;
use mcp_core::testing::FakeServer;
use mcp_core::{CallContext, Principal, ToolServer};
use mcp_tool_cache::ToolCache;
use serde_json::json;

fn main() {
    divan::main();
}

/// With fifty tools.
fn fifty() -> Arc<dyn ToolServer> {
    let tools = (0..50).map(|n| format!("t{n}"));
    let server = tools.fold(FakeServer::new("s"), |server, name| {
        server.tool(&name, &json!({}))
    });
    Arc::new(server)
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
    let builder = ToolSet::builder(fifty()).principal(alice.clone());
    let credentials = Credentials::bearer("test-token-alice").unwrap();
    let context = CallContext::new(alice);
    let cache = ToolCache::new();
    at_once(cache.get_or_load(&builder, &credentials, &context)).unwrap();
    bencher.bench(|| at_once(cache.get_or_load(&builder, &credentials, &context)).unwrap());
}
