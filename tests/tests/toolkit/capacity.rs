//! Room for as many users as there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_testbed::fault::FaultServer;
use mcp_toolkit::auth::{Principal, Token};
use mcp_toolkit::config::Config;
use mcp_toolkit::{HttpLoader, McpToolkit, load_mcp_tools_http};
use serde_json::json;

use crate::{is, who};

/// A token for each user, and how often one was fetched.
fn counting(server: &FaultServer) -> (HttpLoader, Arc<AtomicUsize>) {
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fetched);
    let fetch = move |user: Principal| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { Ok(Token::new(format!("test-token-{}", user.user()))) }
    };
    let loader = load_mcp_tools_http(server.url()).bearer_per_principal(fetch);
    (loader, fetched)
}

/// Two users come, and the first comes back.
async fn visit(toolkit: &McpToolkit) {
    for user in ["alice", "bob", "alice"] {
        is(&toolkit.tools_for(&who(user)).await, &[("s", "1 tools")]);
    }
}

#[tokio::test]
async fn tokens_are_held_for_as_many_users_as_are_expected() {
    let server = FaultServer::modern().await;
    for (principals, fetches) in [(1, 3), (2, 2)] {
        let (loader, fetched) = counting(&server);
        let loader = loader.token_capacity(principals);
        let toolkit = McpToolkit::builder().server("s", loader);
        visit(&toolkit.build().unwrap()).await;
        assert_eq!(fetched.load(Ordering::SeqCst), fetches);

        let (loader, fetched) = counting(&server);
        let toolkit = McpToolkit::builder().server("s", loader);
        visit(&toolkit.max_principals(principals).build().unwrap()).await;
        assert_eq!(fetched.load(Ordering::SeqCst), fetches);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_entry_of_a_file_holds_as_many() {
    let server = FaultServer::modern().await;
    let directory = tempfile::tempdir().unwrap();
    for (principals, fetches) in [(1, 3), (2, 2)] {
        let log = directory.path().join(principals.to_string());
        let script = format!("echo x >> {}; echo test-token-$MCPT_USER", log.display());
        let auth = json!({ "type": "command", "command": ["sh", "-c", script] });
        let entry = json!({ "url": server.url(), "auth": auth });
        let text = json!({ "mcpServers": { "s": entry } }).to_string();
        let toolkit = McpToolkit::builder().config(&Config::parse(&text).unwrap());
        visit(&toolkit.max_principals(principals).build().unwrap()).await;
        let fetched = std::fs::read_to_string(log).unwrap();
        assert_eq!(fetched.lines().count(), fetches);
    }
}

#[tokio::test]
async fn there_is_room_for_the_tools_of_as_many() {
    let server = FaultServer::modern().await;
    for (principals, is_enough) in [(20, false), (100, true)] {
        let toolkit = McpToolkit::builder().max_principals(principals);
        let loader = load_mcp_tools_http(server.url());
        let toolkit = toolkit.server("s", loader).build().unwrap();
        for user in 0..100 {
            toolkit.tools_for(&who(&format!("user-{user}"))).await;
        }
        let dropped = toolkit.cache().stats().evictions;
        assert_eq!(dropped == 0, is_enough, "{dropped}");
    }
}
