//! What a child is given: variables, arguments, a program, a place.

use std::collections::BTreeMap;
use std::error::Error as _;

use mcp_core::{ErrorKind, ToolServer};
use mcp_stdio::{EnvPolicy, ProgramNotFound, StdioServer};

use crate::support::*;

async fn seen_by(server: &StdioServer) -> BTreeMap<String, String> {
    serde_json::from_str(&say(server, "environment").await).unwrap()
}

#[tokio::test]
async fn a_child_sees_the_short_list_and_what_was_named() {
    // Set by the test runner: something of ours that is none of the child's business.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let server = fault_child("serve")
        .env("TOKEN", "test-token-alice")
        .build()
        .unwrap();
    let seen = seen_by(&server).await;
    let safe = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "TOKEN"];
    assert!(
        seen.keys().all(|name| safe.contains(&name.as_str())),
        "{:?}",
        seen.keys()
    );
    assert_eq!(seen["TOKEN"], "test-token-alice");
    assert_eq!(seen["PATH"], std::env::var("PATH").unwrap());
}

#[tokio::test]
async fn more_is_passed_by_word_only() {
    let server = fault_child("serve")
        .env_from(["CARGO_MANIFEST_DIR"])
        .build()
        .unwrap();
    assert!(seen_by(&server).await.contains_key("CARGO_MANIFEST_DIR"));
    let server = fault_child("serve")
        .env_policy(EnvPolicy::Only)
        .env("ONE", "1")
        .build();
    assert_eq!(
        seen_by(&server.unwrap())
            .await
            .into_keys()
            .collect::<Vec<_>>(),
        ["ONE"]
    );
    let server = fault_child("serve")
        .env("CARGO_MANIFEST_DIR", "named")
        .env_from(["CARGO_MANIFEST_DIR"])
        .inherit_env()
        .build();
    let seen = seen_by(&server.unwrap()).await;
    assert_eq!(seen["CARGO_MANIFEST_DIR"], "named");
    assert!(seen.contains_key("CARGO_PKG_NAME"));
}

#[tokio::test]
async fn arguments_meet_no_shell() {
    let odd = [
        "$(touch /tmp/never)",
        "; exit 1",
        "`x`",
        "a b",
        "*",
        "",
        "\"'",
    ];
    let server = fault_child("serve").args(odd).build().unwrap();
    assert_eq!(say(&server, "arguments").await, odd.join("\n"));
    let server = StdioServer::builder(format!("{FAULT_CHILD} serve; true"))
        .build()
        .unwrap();
    let error = server.list_tools(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let server = StdioServer::builder("no-such-mcp-server")
        .args(["canary-argument"])
        .env("TOKEN", "canary-token")
        .build()
        .unwrap();
    let error = server.list_tools(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let shown = chain(&error);
    assert!(shown.contains("no-such-mcp-server") && shown.contains("not found on PATH"));
    assert!(!shown.contains("canary"), "{shown}");
    let source = error
        .source()
        .unwrap()
        .downcast_ref::<ProgramNotFound>()
        .unwrap();
    assert_eq!(source.program, "no-such-mcp-server");
    // The child's PATH is searched, not ours.
    let server = StdioServer::builder("sh")
        .env("PATH", "/nowhere")
        .build()
        .unwrap();
    let error = server.list_tools(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn the_working_directory_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().canonicalize().unwrap();
    std::os::unix::fs::symlink(FAULT_CHILD, here.join("server")).unwrap();
    let server = StdioServer::builder("./server")
        .args(["serve"])
        .cwd(&here)
        .build()
        .unwrap();
    assert_eq!(say(&server, "directory").await, here.to_str().unwrap());
    server.close(&context()).await;
    let server = fault_child("serve").cwd(here.join("gone")).build().unwrap();
    let error = server.list_tools(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("gone"), "{error}");
}
