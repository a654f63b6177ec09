//! What makes the toolkit forget what it has loaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_testbed::embedded::EmbeddedServer;
use mcp_testbed::fault::{FaultServer, Request, Wire};
use mcp_toolkit::cache::ToolCache;
use mcp_toolkit::core::ErrorKind;
use mcp_toolkit::{McpToolkit, load_mcp_tools_http};
use serde_json::json;

use crate::{LONG, embedded, is, say, who};

#[tokio::test]
async fn a_refused_call_forgets_what_its_user_could_see_there() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let token = server.tokens().issue("alice").access;
    let toolkit = McpToolkit::builder()
        .server(
            "notes",
            load_mcp_tools_http(server.url())
                .bearer(token)
                .header("X-Tenant-Id", "acme"),
        )
        .build()
        .unwrap();
    let (alice, bob) = (who("alice"), who("bob"));
    let hers = toolkit.tools_for(&alice).await;
    toolkit.tools_for(&bob).await;
    server.tokens().revoke("alice");
    let refused = say(hers.tools(), "whoami").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unauthorized);
    is(
        &toolkit.tools_for(&alice).await,
        &[("notes", "unauthorized")],
    );
    // Bob has the same token and has heard of nothing yet.
    is(&toolkit.tools_for(&bob).await, &[("notes", "4 tools")]);
}

#[tokio::test]
async fn a_notice_that_tools_changed_makes_the_next_request_load_anew() {
    let lists = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lists);
    let server = FaultServer::start(move |request: Request, mut wire: Wire| {
        let counted = Arc::clone(&counted);
        async move {
            match request.rpc_method().as_str() {
                "tools/list" => {
                    counted.fetch_add(1, Ordering::SeqCst);
                    wire.modern(&request).await.then_some(wire)
                }
                "tools/call" => {
                    let notice = json!({"jsonrpc": "2.0",
                        "method": "notifications/tools/list_changed"});
                    let done = json!({"resultType": "complete",
                        "content": [{"type": "text", "text": "done"}]});
                    wire.events("").await;
                    wire.event(&notice.to_string()).await;
                    wire.event(&request.result(&done)).await;
                    None
                }
                _ => wire.modern(&request).await.then_some(wire),
            }
        }
    })
    .await;
    let toolkit = McpToolkit::builder()
        .server("s", load_mcp_tools_http(server.url()))
        .build()
        .unwrap();
    let alice = who("alice");
    let tools = toolkit.tools_for(&alice).await;
    toolkit.tools_for(&alice).await;
    assert_eq!(lists.load(Ordering::SeqCst), 1);
    say(tools.tools(), "echo").await.unwrap();
    toolkit.tools_for(&alice).await;
    assert_eq!(lists.load(Ordering::SeqCst), 2);
    // A server that says so all the time is not believed all the time.
    say(tools.tools(), "echo").await.unwrap();
    toolkit.tools_for(&alice).await;
    assert_eq!(lists.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_others_forget_in_the_cache_is_not_given_any_more() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let cache = ToolCache::new();
    let toolkit = McpToolkit::builder()
        .server("notes", embedded(&server))
        .cache(&cache)
        .build()
        .unwrap();
    let alice = who("alice");
    toolkit.tools_for(&alice).await;
    toolkit.tools_for(&alice).await;
    assert_eq!(cache.stats().loads, 1);
    cache.invalidate_principal(&alice).await;
    toolkit.tools_for(&alice).await;
    assert_eq!(cache.stats().loads, 2);
}
