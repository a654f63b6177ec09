//! A child process for each user.
#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_toolkit::auth::SharedProvider;
use mcp_toolkit::{McpToolkit, load_mcp_tools_stdio};
use serde_json::json;

use crate::{LONG, per_user, say, who};

const CHILDS_TOKEN: &str = "TOOLKIT_TEST_CHILDS_TOKEN";

/// Not a test: what the children of the next one run.
#[test]
#[ignore = "is run as a child process"]
fn be_the_child() {
    let Ok(token) = std::env::var(CHILDS_TOKEN) else {
        return;
    };
    for line in std::io::stdin().lines() {
        let request: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let result = match request["method"].as_str().unwrap_or_default() {
            "server/discover" => json!({"resultType": "complete",
                "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
                "ttlMs": 60_000, "cacheScope": "public"}),
            "tools/list" => json!({"resultType": "complete",
                "tools": [{"name": "whoami", "inputSchema": {"type": "object"}}]}),
            _ => json!({"resultType": "complete",
                "content": [{"type": "text", "text": format!("{token} {}", std::process::id())}]}),
        };
        let answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
        println!("{answer}");
    }
}

fn lives(pid: &str) -> bool {
    std::path::Path::new("/proc").join(pid).exists()
}

#[tokio::test]
async fn each_user_has_a_child_which_ends_with_the_logout_or_the_toolkit() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let credential: SharedProvider = Arc::new(per_user(server.tokens()));
    let program = std::env::current_exe().unwrap();
    let child = load_mcp_tools_stdio(program.to_str().unwrap())
        .args([
            "children::be_the_child",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(CHILDS_TOKEN, credential);
    let toolkit = McpToolkit::builder().server("c", child).build().unwrap();
    let (alice, bob) = (who("alice"), who("bob"));
    let ask = async |principal| {
        let tools = toolkit.tools_for(principal).await;
        say(tools.tools(), "whoami").await.unwrap()
    };
    let (hers, his) = tokio::join!(ask(&alice), ask(&bob));
    let (her_token, her_pid) = hers.split_once(' ').unwrap();
    let (his_token, his_pid) = his.split_once(' ').unwrap();
    assert_eq!(her_token, "test-token-alice-1");
    assert_eq!(his_token, "test-token-bob-1");

    toolkit.logout(&alice, "c").await.unwrap();
    assert!(!lives(her_pid) && lives(his_pid));
    let again = ask(&alice).await;
    let (token, pid) = again.split_once(' ').unwrap();
    assert_eq!(token, "test-token-alice-2");

    drop(toolkit);
    let gone = async {
        while lives(pid) || lives(his_pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .expect("the children outlive the toolkit");
}
