//! What is said: tools, calls, cancellation, storms.

use mcp_core::{ErrorKind, Limits, Principal, ProtocolVersion, ToolServer, Transport};
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn tools_are_listed_and_called_with_every_byte() {
    for (mode, version) in [
        ("serve", ProtocolVersion::V2025_11_25),
        ("stateless", ProtocolVersion::V2026_07_28),
    ] {
        let server = fault_child(mode).build().unwrap();
        let listing = server.list_tools(&context()).await.unwrap();
        assert_eq!(listing.server.name, "fault-child");
        assert_eq!(listing.server.protocol, Some(version));
        assert_eq!(listing.server.transport, Some(Transport::Stdio));
        assert_eq!(listing.tools.len(), 1);
        assert!(listing.tools[0].raw().contains("x-own"));
        assert_eq!(listing.skipped[0].name, "broken");
        let output = call(&server, "echo", json!({"text": "zwölf\n\u{0}"}))
            .await
            .unwrap();
        assert_eq!(output.text(), "zwölf\n\u{0}");
        assert!(output.raw().contains(r#""own":{"a":2,"z":1}"#));
        server.ping(&context()).await.unwrap();
        server.close(&context()).await;
    }
}

#[tokio::test]
async fn a_pinned_version_is_spoken_or_refused() {
    let server = fault_child("serve")
        .protocol(ProtocolVersion::V2025_11_25)
        .build()
        .unwrap();
    assert_eq!(say(&server, "echo").await, "");
    let server = fault_child("serve")
        .protocol(ProtocolVersion::V2026_07_28)
        .build()
        .unwrap();
    let error = call(&server, "echo", json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn who_gives_up_tells_the_child() {
    let server = serving();
    say(&server, "echo").await;
    let error = call_as(&server, &within(50), "wait", json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.tool(), Some("wait"));
    assert_eq!(error.server().unwrap().as_str(), "mcp-stdio-fault-child");
    assert_eq!(say(&server, "cancelled").await, "1");
}

#[tokio::test]
async fn the_way_to_the_child_stays_open() {
    let mut limits = Limits::default();
    limits.message_bytes = 64 << 10;
    let server = fault_child("serve").limits(limits).build().unwrap();
    let text = "x".repeat(16 << 10);
    for _ in 0..20 {
        let output = call(&server, "echo", json!({"text": &text})).await.unwrap();
        assert_eq!(output.text(), text);
    }
}

#[tokio::test]
async fn what_is_no_message_is_skipped_and_kept() {
    let server = fault_child("banner").build().unwrap();
    assert_eq!(say(&server, "echo").await, "");
    call(&server, "chatter", json!({"lines": 50_000}))
        .await
        .unwrap();
    let seen = server.diagnostics(&Principal::local()).unwrap();
    assert!(
        seen.stray_output.ends_with(&"x".repeat(64)),
        "{}",
        seen.stray_output.len()
    );
    assert!(seen.stray_output.contains("line 49999"));
    assert!(seen.stray_output.len() <= Limits::default().stderr_bytes);
}

#[tokio::test]
async fn storms_of_requests_and_changes_are_weathered() {
    let server = serving();
    let mut changes = server.tool_changes();
    call(&server, "changes", json!({"count": 10_000}))
        .await
        .unwrap();
    changes.changed().await.unwrap();
    call(&server, "requests", json!({"count": 10_000}))
        .await
        .unwrap();
    let answered: u32 = say(&server, "answered").await.parse().unwrap();
    assert!((1..=10_000).contains(&answered), "{answered}");
}
