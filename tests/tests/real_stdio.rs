//! stdio against servers that other people wrote.
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_core::{
    CallContext, Content, Error, ErrorKind, Limits, Principal, ProgressHandler, ProgressUpdate,
    ProtocolVersion, ToolCall, ToolListing, ToolOutput, ToolServer, Transport,
};
use mcp_stdio::{StdioServer, StdioServerBuilder};
use mcp_testbed::real::{everything_stdio, fastmcp_stdio, filesystem_stdio};
use serde_json::{Value, json};

fn builder((program, arguments): (String, Vec<String>)) -> StdioServerBuilder {
    StdioServer::builder(program).args(arguments)
}

fn context() -> CallContext {
    CallContext::new(Principal::new("alice").unwrap()).with_timeout(Duration::from_secs(40))
}

async fn call(
    server: &StdioServer,
    listing: &ToolListing,
    name: &str,
    arguments: &Value,
    context: &CallContext,
) -> Result<ToolOutput, Error> {
    let tool = listing.tools.iter().find(|tool| tool.name() == name);
    let arguments = arguments.as_object().unwrap();
    let call = ToolCall::new(tool.unwrap(), arguments);
    server.call_tool(call, context).await
}

#[tokio::test]
async fn everything_is_listed_called_and_gone() {
    let server = builder(everything_stdio())
        .env("NOTES_TOKEN", "test-token-alice")
        .build()
        .unwrap();
    let alice = context();
    let listing = server.list_tools(&alice).await.unwrap();
    let info = &listing.server;
    assert_eq!(info.name, "mcp-servers/everything");
    assert_eq!(info.protocol, Some(ProtocolVersion::V2025_11_25));
    assert_eq!(info.transport, Some(Transport::Stdio));
    assert!(info.instructions.is_some());
    assert!(listing.skipped.is_empty());

    let output = call(
        &server,
        &listing,
        "get-sum",
        &json!({"a": 2, "b": 3}),
        &alice,
    )
    .await;
    assert!(output.unwrap().text().contains('5'));
    let output = call(&server, &listing, "get-tiny-image", &json!({}), &alice).await;
    let kinds: Vec<_> = output.unwrap().content();
    assert!(kinds.len() > 1 && kinds.iter().all(|kind| matches!(kind, Content::Known(_))));
    let wrong = call(&server, &listing, "get-sum", &json!({"a": "x"}), &alice).await;
    assert!(wrong.unwrap().is_error());

    let output = call(&server, &listing, "get-env", &json!({}), &alice)
        .await
        .unwrap();
    let seen: Value = serde_json::from_str(&output.text()).unwrap();
    assert_eq!(seen["NOTES_TOKEN"], "test-token-alice");
    assert!(seen.get("CARGO_MANIFEST_DIR").is_none(), "it is ours");

    let pid = server.diagnostics(&alice.principal).unwrap().pid.unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    server.close(&alice).await;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<f64>>);

impl ProgressHandler for Heard {
    fn progress(&self, update: ProgressUpdate<'_>) {
        self.0.lock().unwrap().push(update.progress);
    }
}

#[tokio::test]
async fn progress_is_heard_and_giving_up_harms_nobody() {
    let server = builder(everything_stdio()).build().unwrap();
    let heard = Arc::new(Heard::default());
    let handler: Arc<dyn ProgressHandler> = Arc::<Heard>::clone(&heard);
    let listing = server.list_tools(&context()).await.unwrap();
    let name = "trigger-long-running-operation";
    let quick = json!({"duration": 0.2, "steps": 2});
    let alice = context().with_progress(handler);
    call(&server, &listing, name, &quick, &alice).await.unwrap();
    assert_eq!(*heard.0.lock().unwrap(), [1.0, 2.0]);

    let slow = json!({"duration": 60, "steps": 2});
    let impatient = context().with_timeout(Duration::from_millis(100));
    let error = call(&server, &listing, name, &slow, &impatient)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let output = call(
        &server,
        &listing,
        "echo",
        &json!({"message": "hi"}),
        &context(),
    )
    .await;
    assert!(output.unwrap().text().contains("hi"));
    server.close(&context()).await;
}

#[tokio::test]
async fn files_are_read_below_the_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::write(root.join("note.txt"), "hello").unwrap();
    let server = builder(filesystem_stdio(&root)).build().unwrap();
    let alice = context();
    let listing = server.list_tools(&alice).await.unwrap();
    assert_eq!(listing.server.name, "secure-filesystem-server");
    let read = async |path: &std::path::Path| {
        let arguments = json!({"path": path});
        call(&server, &listing, "read_text_file", &arguments, &alice)
            .await
            .unwrap()
    };
    let output = read(&root.join("note.txt")).await;
    assert_eq!(output.text(), "hello");
    assert_eq!(
        output.structured_content().unwrap().get(),
        r#"{"content":"hello"}"#
    );
    let outside = read("/etc/hostname".as_ref()).await;
    assert!(outside.is_error() && outside.text().contains("Access denied"));
    server.close(&alice).await;
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let server = builder(filesystem_stdio("/no/such/folder".as_ref()))
        .build()
        .unwrap();
    let error = server.list_tools(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerExited);
    let shown = error.to_string();
    assert!(shown.contains("exit status: 1"), "{shown}");
    assert!(
        shown.contains("None of the specified directories"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_server_of_the_stateless_version_is_found() {
    let server = builder(fastmcp_stdio())
        .env("NOTES_TOKEN", "test-token-alice")
        .build()
        .unwrap();
    let alice = context();
    let listing = server.list_tools(&alice).await.unwrap();
    assert_eq!(listing.server.protocol, Some(ProtocolVersion::V2026_07_28));
    assert_eq!(listing.server.name, "notes");
    let output = call(&server, &listing, "add", &json!({"a": 2, "b": 3}), &alice).await;
    assert_eq!(output.unwrap().text(), "5");
    for (name, value) in [
        ("NOTES_TOKEN", "test-token-alice"),
        ("CARGO_MANIFEST_DIR", ""),
    ] {
        let output = call(
            &server,
            &listing,
            "variable",
            &json!({"name": name}),
            &alice,
        )
        .await;
        assert_eq!(output.unwrap().text(), value);
    }
    server.ping(&alice).await.unwrap();
    server.close(&alice).await;

    // The interpreter is not up when the probe is given up: both questions wait for it then.
    let mut limits = Limits::default();
    limits.startup_timeout = Duration::from_secs(15);
    let hasty = builder(fastmcp_stdio()).limits(limits).build().unwrap();
    let listing = hasty.list_tools(&alice).await.unwrap();
    assert_eq!(listing.server.protocol, Some(ProtocolVersion::V2026_07_28));
    hasty.close(&alice).await;

    // Asked with an older version only, it still answers.
    let pinned = builder(fastmcp_stdio())
        .protocol(ProtocolVersion::V2025_11_25)
        .build()
        .unwrap();
    let listing = pinned.list_tools(&alice).await.unwrap();
    assert_eq!(listing.server.protocol, Some(ProtocolVersion::V2025_11_25));
    pinned.close(&alice).await;
}
