//! Memory and open files, whatever a child does. One test at a time: they measure the process.
#![cfg(target_os = "linux")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "these are tests")]

use std::time::Duration;

use mcp_core::{
    CallContext, Error, ErrorKind, Limits, Principal, ToolCall, ToolDefinition, ToolOutput,
    ToolServer,
};
use mcp_stdio::StdioServer;
use serde_json::{Value, json};
use tokio::sync::Mutex;

static ALONE: Mutex<()> = Mutex::const_new(());

fn fault_child(mode: &str) -> StdioServer {
    let program = env!("CARGO_BIN_EXE_mcp-stdio-fault-child");
    StdioServer::builder(program).args([mode]).build().unwrap()
}

async fn call(server: &StdioServer, tool: &str, arguments: Value) -> Result<ToolOutput, Error> {
    let tool = ToolDefinition::from_parts(tool, "", &json!({})).unwrap();
    let Value::Object(arguments) = arguments else {
        panic!("arguments are an object")
    };
    let context = CallContext::default();
    server
        .call_tool(ToolCall::new(&tool, &arguments), &context)
        .await
}

async fn close(server: &StdioServer) {
    server.close(&CallContext::default()).await;
}

const MEBIBYTE: u64 = 1 << 20;

/// The most memory that this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn floods_hold_memory_and_are_said() {
    let _alone = ALONE.lock().await;
    let server = fault_child("serve");
    call(&server, "echo", json!({})).await.unwrap();
    let before = peak();

    let error = call(&server, "flood", json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("message_bytes"), "{error}");
    close(&server).await;

    let kilobytes = 200 * 1024;
    let arguments = json!({"kilobytes": kilobytes, "text": "the last words"});
    call(&server, "stderr", arguments).await.unwrap();
    call(&server, "chatter", json!({"lines": 500_000}))
        .await
        .unwrap();
    close(&server).await;
    let grown = peak() - before;
    assert!(grown < 64 * MEBIBYTE, "{} MiB", grown / MEBIBYTE);
}

#[tokio::test]
async fn the_end_of_standard_error_is_kept() {
    let _alone = ALONE.lock().await;
    let server = fault_child("serve");
    let arguments = json!({"kilobytes": 1024, "text": "the last words"});
    let error = call(&server, "stderr", arguments).await;
    error.unwrap();
    call(&server, "exit", json!({"code": 1, "text": "bye"}))
        .await
        .unwrap_err();
    let seen = server.diagnostics(&Principal::local()).unwrap();
    let kept = Limits::default().stderr_bytes;
    assert!(seen.stderr.len() > kept - 1024 && seen.stderr.len() <= kept);
    assert!(
        seen.stderr.contains("the last words\nbye"),
        "{}",
        seen.stderr.len()
    );
}

#[tokio::test]
async fn a_flood_at_start_is_said_too() {
    let _alone = ALONE.lock().await;
    let server = fault_child("flood");
    let error = server
        .list_tools(&CallContext::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn what_a_child_does_not_read_is_bounded() {
    let _alone = ALONE.lock().await;
    let server = fault_child("serve");
    call(&server, "echo", json!({})).await.unwrap();
    let big = json!({"text": "x".repeat(8 << 20)});
    let before = peak();
    for tool in ["deaf"; 20] {
        let tool = ToolDefinition::from_parts(tool, "", &json!({})).unwrap();
        let call = ToolCall::new(&tool, big.as_object().unwrap());
        let context = CallContext::default().with_timeout(Duration::from_millis(50));
        let error = server.call_tool(call, &context).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
    let grown = peak() - before;
    assert!(grown < 64 * MEBIBYTE, "{} MiB", grown / MEBIBYTE);
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn a_hundred_cycles_leak_no_file() {
    let _alone = ALONE.lock().await;
    let server = fault_child("serve");
    let cycle = async || {
        call(&server, "echo", json!({})).await.unwrap();
        close(&server).await;
    };
    cycle().await;
    let before = open_files();
    for _ in 0..100 {
        cycle().await;
    }
    assert_eq!(open_files(), before);
}
