//! However many users there are, so many children and no more: said in code, and in a file.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

use std::time::Duration;

use mcp_toolkit::config::Config;
use mcp_toolkit::{McpToolkit, Principal, ServerTools, load_mcp_tools_stdio};
use serde_json::json;

/// The words that make this test program a server, which then runs nothing but [`child`].
const CHILD: [&str; 4] = ["--exact", "child", "--ignored", "--nocapture"];
const PLACES: usize = 2;

/// Not a test of anything: the child of other tests.
#[tokio::test]
#[ignore = "a server that other tests start"]
async fn child() {
    mcp_testbed::embedded::serve_stdio().await.unwrap();
}

fn program() -> String {
    let program = std::env::current_exe().unwrap();
    program.to_str().unwrap().to_owned()
}

/// How many processes this one has started and not reaped.
fn children() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let lists = tasks.filter_map(|task| {
        let list = task.ok()?.path().join("children");
        std::fs::read_to_string(list).ok()
    });
    lists.map(|list| list.split_whitespace().count()).sum()
}

async fn twenty_users_share(toolkit: McpToolkit) {
    for number in 0..20 {
        let user = Principal::new(format!("user-{number}")).unwrap();
        let tools = toolkit.tools_for(&user).await;
        let (_, own) = tools.servers().next().unwrap();
        assert!(matches!(own, ServerTools::Active(_)), "{own:?}");
        assert!(children() <= PLACES, "{} for {number} users", children());
    }
    // Whose child made way has the tools still: they start another.
    let first = toolkit.tools_for(&Principal::new("user-0").unwrap()).await;
    let add = first.tools().get("add").unwrap();
    add.call(json!({ "a": 1, "b": 2 })).await.unwrap();
    assert!(children() <= PLACES);
    toolkit.shutdown(Duration::from_secs(10)).await;
    assert_eq!(children(), 0);
}

#[tokio::test]
async fn a_loader_bounds_its_children() {
    let loader = load_mcp_tools_stdio(program())
        .args(CHILD)
        .max_children(PLACES);
    let toolkit = McpToolkit::builder().server("notes", loader).build();
    twenty_users_share(toolkit.unwrap()).await;
}

#[tokio::test]
async fn a_file_bounds_the_children_of_an_entry() {
    let file = json!({ "mcpServers": {
        "notes": { "command": program(), "args": CHILD, "maxChildren": PLACES },
    } });
    let config = Config::parse(&file.to_string()).unwrap();
    let toolkit = McpToolkit::builder().config(&config).allow_stdio().build();
    twenty_users_share(toolkit.unwrap()).await;
}
