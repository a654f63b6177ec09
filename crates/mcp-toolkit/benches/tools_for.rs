//! A cached `tools_for`. Run with `cargo bench -p mcp-toolkit`.
#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to tell")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use divan::Bencher;
use mcp_core::testing::FakeServer;
use mcp_toolkit::McpToolkit;
use mcp_toolkit::auth::{PerPrincipal, Principal, RefreshingToken, Token, TokenContext};
use mcp_toolkit::core::{ServerId, ToolServer};
use serde_json::json;

fn main() {
    divan::main();
}

/// With fifty tools.
fn fifty(id: &str) -> Arc<dyn ToolServer> {
    let tools = (0..50).map(|n| format!("t{n}"));
    let server = tools.fold(FakeServer::new(id), |server, name| {
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

/// A fresh token for each user, as platforms have it.
fn tokens() -> PerPrincipal {
    PerPrincipal::new(|_, principal: &Principal| {
        let token = format!("test-token-{}", principal.user());
        Ok(RefreshingToken::new(move |_: TokenContext| {
            let token = Token::new(token.clone()).expires_in(Duration::from_secs(86_400));
            async move { Ok(token) }
        }))
    })
}

fn toolkit(servers: usize) -> McpToolkit {
    let mut builder = McpToolkit::builder();
    for n in 0..servers {
        let id = format!("s{n}");
        builder = builder.server(&*id, fifty(&id)).credentials(&*id, tokens());
    }
    builder.build().unwrap()
}

/// The tools, and a look at one.
#[divan::bench(args = [1, 3, 20])]
fn cached(bencher: Bencher<'_, '_>, servers: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let toolkit = toolkit(servers);
    let alice = Principal::in_tenant("acme", "alice").unwrap();
    runtime.block_on(toolkit.tools_for(&alice));
    bencher.bench_local(|| at_once(toolkit.tools_for(&alice)).tools().len());
}

/// Found server by server, as for a user who was not here for a while.
#[divan::bench(args = [1, 3, 20])]
fn put_together_again(bencher: Bencher<'_, '_>, servers: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let toolkit = toolkit(servers);
    let alice = Principal::in_tenant("acme", "alice").unwrap();
    let nobody = mcp_toolkit::cache::CacheKey::new(
        ServerId::new("none").unwrap(),
        alice.clone(),
        mcp_toolkit::auth::Fingerprint::anonymous(),
    );
    runtime.block_on(toolkit.tools_for(&alice));
    bencher
        // An invalidation of nothing makes the toolkit look again.
        .with_inputs(|| at_once(toolkit.cache().invalidate(&nobody)))
        .bench_local_values(|()| runtime.block_on(toolkit.tools_for(&alice)).tools().len());
}
