//! What a user costs who has the same tools as others.

use std::sync::Arc;

use mcp_adapter::ToolSet;
use mcp_core::auth::Credentials;
use mcp_core::testing::FakeServer;
use mcp_core::{CallContext, Principal, ToolServer};
use mcp_tool_cache::ToolCache;
use serde_json::json;

/// Sends everybody the same fifty tools, each time anew.
fn fifty() -> FakeServer {
    let schema = json!({ "type": "object", "description": "x".repeat(600) });
    let tools = (0..50).map(|n| format!("tool_{n}"));
    tools.fold(FakeServer::new("s"), |server, name| {
        server.tool(&name, &schema)
    })
}

#[test]
fn a_user_of_a_shared_catalog_costs_less_than_a_kibibyte() {
    const USERS: usize = 1_000;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let cache = ToolCache::builder().capacity(100_000).build();
    let server: Arc<dyn ToolServer> = Arc::new(fifty());
    let load = |user: usize| {
        let principal = Principal::new(format!("user-{user}")).unwrap();
        let credentials = Credentials::bearer(format!("test-token-{user}")).unwrap();
        let builder = ToolSet::builder(Arc::clone(&server)).principal(principal.clone());
        let context = CallContext::new(principal);
        let set = runtime.block_on(cache.get_or_load(&builder, &credentials, &context));
        assert_eq!(set.unwrap().len(), 50);
    };
    load(0);
    let held = allocation_counter::measure(|| (1..=USERS).for_each(load)).bytes_current;
    let each = held / i64::try_from(USERS).unwrap();
    assert!(each < 1_024, "{each} bytes for each user");
}
