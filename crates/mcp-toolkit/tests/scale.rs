//! What users cost, and that they cost no more than their bound.
//!
//! `cargo test --release -p mcp-toolkit --test scale -- --ignored --nocapture` measures 100,000 and
//! 1,000,000 of them and prints the figures.
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::sync::Arc;

use mcp_core::testing::FakeServer;
use mcp_toolkit::McpToolkit;
use mcp_toolkit::auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Principal,
};
use mcp_toolkit::cache::ToolCache;
use mcp_toolkit::core::ToolServer;
use serde_json::json;
use tokio::runtime::Runtime;

/// Sends everybody the same fifty tools, in memory of their own each time.
fn fifty() -> FakeServer {
    let schema = json!({ "type": "object", "description": "x".repeat(600) });
    let tools = (0..50).map(|n| format!("tool_{n}"));
    tools.fold(FakeServer::new("s"), |server, name| {
        server.tool(&name, &schema)
    })
}

/// Makes each token anew, so that none is part of the figures.
#[derive(Debug)]
struct Made;

impl CredentialProvider for Made {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let token = format!("test-token-{}", request.principal.user());
        MaybeReady::ready(Credentials::bearer(token).map_err(Into::into))
    }
}

fn toolkit(capacity: u64) -> McpToolkit {
    let server: Arc<dyn ToolServer> = Arc::new(fifty());
    McpToolkit::builder()
        .server("s", server)
        .credentials("s", Made)
        .cache(&ToolCache::builder().capacity(capacity).build())
        .build()
        .unwrap()
}

fn visit(runtime: &Runtime, toolkit: &McpToolkit, user: usize) {
    let principal = Principal::new(format!("user-{user}")).unwrap();
    let tools = runtime.block_on(toolkit.tools_for(&principal));
    assert_eq!(tools.tools().len(), 50);
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// Bytes that stay when these users have come and gone.
fn held(toolkit: &McpToolkit, users: std::ops::Range<usize>) -> i64 {
    let runtime = runtime();
    let visits = || {
        for user in users.clone() {
            visit(&runtime, toolkit, user);
        }
    };
    allocation_counter::measure(visits).bytes_current
}

#[test]
fn a_user_costs_little_beyond_a_token() {
    let toolkit = toolkit(100_000);
    visit(&runtime(), &toolkit, 0);
    // Each of these is among those whose tools are held together as well: the dear case.
    let each = held(&toolkit, 1..1_001) / 1_000;
    assert!(each < 2_048, "{each} bytes for each user");
}

#[test]
fn users_seen_once_do_not_fill_memory() {
    let toolkit = toolkit(100);
    visit(&runtime(), &toolkit, 0);
    let first = held(&toolkit, 1..1_001);
    let more = held(&toolkit, 1_001..2_001);
    let entries = toolkit.cache().stats().entries;
    assert!(entries <= 200, "{entries} sets are kept");
    assert!(more <= first, "{first} bytes, then {more} more");
}

#[test]
#[ignore = "takes a minute; see above"]
fn a_hundred_thousand_users() {
    let toolkit = toolkit(200_000);
    visit(&runtime(), &toolkit, 0);
    let users = 100_000;
    let bytes = held(&toolkit, 1..users + 1);
    let each = bytes / i64::try_from(users).unwrap();
    let entries = toolkit.cache().stats().entries;
    println!("{users} users, {entries} sets kept: {each} bytes for each user");
    assert!(each < 1_024, "{each} bytes for each user");
}

#[test]
#[ignore = "takes minutes; see above"]
fn a_million_users_seen_once() {
    let server: Arc<dyn ToolServer> = Arc::new(fifty());
    let toolkit = McpToolkit::builder()
        .server("s", server)
        .credentials("s", Made)
        .build()
        .unwrap();
    visit(&runtime(), &toolkit, 0);
    let mut after = Vec::new();
    let mut all = 0;
    for part in 0..10 {
        all += held(&toolkit, part * 100_000 + 1..(part + 1) * 100_000 + 1);
        after.push(all);
        println!(
            "{} users seen: {} KiB held, {} sets kept",
            (part + 1) * 100_000,
            all / 1_024,
            toolkit.cache().stats().entries
        );
    }
    let (first, last) = (after[0], after[9]);
    assert!(last < first * 5 / 4, "{first} bytes, then {last}");
}
