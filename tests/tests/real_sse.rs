//! HTTP+SSE against a server that other people wrote.
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::time::Duration;

use mcp_core::{CallContext, Principal, ToolCall, ToolServer, Transport};
use mcp_http::{HttpServer, TransportChoice};
use mcp_testbed::real::EverythingServer;
use serde_json::json;

fn context(user: &str) -> CallContext {
    CallContext::new(Principal::new(user).unwrap()).with_timeout(Duration::from_secs(20))
}

#[tokio::test]
async fn a_url_that_looks_like_it_is_spoken_with_over_a_stream() {
    let everything = EverythingServer::sse();
    for choice in [TransportChoice::Auto, TransportChoice::Sse] {
        let server = HttpServer::builder(everything.url())
            .transport(choice)
            .build()
            .unwrap();
        let alice = context("alice");
        let listing = server.list_tools(&alice).await.unwrap();
        assert_eq!(listing.server.transport, Some(Transport::Sse));
        assert_eq!(listing.server.name, "mcp-servers/everything");
        assert_eq!(server.transport(), Transport::Sse);

        let sum = listing.tools.iter().find(|tool| tool.name() == "get-sum");
        let arguments = json!({"a": 2, "b": 3}).as_object().unwrap().clone();
        let call = ToolCall::new(sum.unwrap(), &arguments);
        for user in ["alice", "bob", "alice"] {
            let context = context(user);
            let output = server.call_tool(call, &context).await.unwrap();
            assert!(output.text().contains('5'), "{}", output.text());
            assert_eq!(context.report().attempts, 1);
        }
        let resources = server
            .request("resources/list", &serde_json::Map::new(), &alice)
            .await;
        assert!(resources.unwrap().get().contains("\"resources\""));
        server.close(&alice).await;
        let output = server.call_tool(call, &context("alice")).await.unwrap();
        assert!(!output.is_error());
    }
}
