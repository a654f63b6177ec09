//! How changed tools become known: told by the child, or found in the one that takes its place.

use std::path::Path;
use std::time::Duration;

use mcp_core::ToolServer;
use mcp_stdio::{Restart, StdioServer};
use serde_json::json;

use crate::support::*;

fn with_tools_of(file: &Path, mode: &str) -> StdioServer {
    let mut restart = Restart::default();
    restart.first_delay = Duration::from_millis(1);
    fault_child(mode)
        .env("FAULT_TOOLS", file.to_str().unwrap())
        .restart(restart)
        .build()
        .unwrap()
}

async fn names(server: &StdioServer) -> Vec<String> {
    let listing = server.list_tools(&context()).await.unwrap();
    let names = listing.tools.iter().map(|tool| tool.name().to_owned());
    names.collect()
}

async fn crash(server: &StdioServer) {
    let crashed = call(server, "exit", json!({"code": 1})).await;
    crashed.unwrap_err();
}

/// Until the child has listed its tools `times` times, however often that is asked for.
async fn listed(server: &StdioServer, times: u64) {
    let until = async {
        while say(server, "times-listed").await.parse::<u64>().unwrap() < times {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), until).await;
    assert!(in_time.is_ok(), "the tools are not listed");
    // What was listed before this call was answered has arrived before its answer.
    say(server, "echo").await;
}

#[tokio::test]
async fn a_restart_is_a_change_only_if_the_tools_are_others() {
    for mode in ["serve", "stateless", "listening"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tools");
        std::fs::write(&file, "one\ntwo\n").unwrap();
        let server = with_tools_of(&file, mode);
        let changes = server.tool_changes();
        assert_eq!(names(&server).await, ["echo", "one", "two"]);

        crash(&server).await;
        listed(&server, 1).await;
        assert_eq!(*changes.borrow(), 0, "{mode}: the same tools");

        std::fs::write(&file, "two\none\n").unwrap();
        crash(&server).await;
        listed(&server, 1).await;
        assert_eq!(*changes.borrow(), 0, "{mode}: the same in another order");

        std::fs::write(&file, "one\n").unwrap();
        crash(&server).await;
        listed(&server, 1).await;
        assert_eq!(*changes.borrow(), 1, "{mode}: others");

        // Known from then on.
        crash(&server).await;
        listed(&server, 1).await;
        assert_eq!(*changes.borrow(), 1, "{mode}: the same again");
        server.close(&context()).await;
    }
}

#[tokio::test]
async fn a_first_child_is_not_asked_for_what_nobody_knows() {
    let server = serving();
    say(&server, "echo").await;
    assert_eq!(say(&server, "times-listed").await, "0");
    crash(&server).await;
    say(&server, "echo").await;
    assert_eq!(say(&server, "times-listed").await, "0");
}

#[tokio::test]
async fn changes_are_heard_in_both_eras_and_after_a_restart() {
    for mode in ["serve", "listening"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tools");
        std::fs::write(&file, "one\n").unwrap();
        let server = with_tools_of(&file, mode);
        let mut changes = server.tool_changes();
        names(&server).await;
        for _ in 0..2 {
            let told = async {
                // Who listens is known to the child soon after it has begun.
                while call(&server, "changes", json!({"count": 10_000}))
                    .await
                    .unwrap()
                    .text()
                    != "done"
                {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), told)
                .await
                .unwrap();
            let heard = tokio::time::timeout(Duration::from_secs(10), changes.changed()).await;
            heard.unwrap().unwrap();
            // However many there were, there is one reason to look.
            assert!(*changes.borrow_and_update() < 10_000, "{mode}");
            crash(&server).await;
        }
        server.close(&context()).await;
    }
}

#[tokio::test]
async fn a_server_that_tells_nothing_is_not_listened_to() {
    let server = fault_child("stateless").build().unwrap();
    names(&server).await;
    assert_eq!(say(&server, "listened").await, "false");
}
