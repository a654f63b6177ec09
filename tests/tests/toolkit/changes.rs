//! What makes the toolkit forget what it has loaded.

use mcp_testbed::embedded::EmbeddedServer;
use mcp_toolkit::cache::ToolCache;
use mcp_toolkit::core::ErrorKind;
use mcp_toolkit::{McpToolkit, load_mcp_tools_http};

use crate::{LONG, announcing, embedded, is, say, who};

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
    let server = announcing().await;
    let toolkit = McpToolkit::builder()
        .server("s", load_mcp_tools_http(server.url()))
        .build()
        .unwrap();
    let alice = who("alice");
    let tools = toolkit.tools_for(&alice).await;
    toolkit.tools_for(&alice).await;
    assert_eq!(server.count("tools/list"), 1);
    say(tools.tools(), "echo").await.unwrap();
    toolkit.tools_for(&alice).await;
    assert_eq!(server.count("tools/list"), 2);
    // A server that says so all the time is not believed all the time.
    say(tools.tools(), "echo").await.unwrap();
    toolkit.tools_for(&alice).await;
    assert_eq!(server.count("tools/list"), 2);
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
