//! What the way of a call costs, in allocations: a budget that a change must not break unnoticed.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use std::sync::Arc;

use mcp_adapter::{AgentTool, MiddlewareStack, ToolSet};
use mcp_core::auth::Fingerprint;
use mcp_core::testing::FakeServer;
use mcp_core::{CallContext, ToolOutput};
use mcp_middleware::Audit;
use serde_json::{Map, Value, json};

fn tool(stack: &MiddlewareStack) -> AgentTool {
    let schema = json!({
        "type": "object",
        "required": ["query"],
        "additionalProperties": false,
        "properties": {
            "query": { "type": "string", "minLength": 1, "pattern": "^[a-z ]+$" },
            "limit": { "type": "integer", "minimum": 1, "maximum": 100 },
            "tags": { "type": "array", "items": { "type": "string" } },
            "sort": { "enum": ["asc", "desc"] },
        },
    });
    // Answers at once with an output that was made before.
    let output = ToolOutput::from("ok");
    let server = FakeServer::new("s").tool("search", &schema);
    let server = server.answering(move |_, context| {
        let output = output.clone();
        Box::pin(async {
            context.record_attempt(Fingerprint::anonymous());
            Ok(output)
        })
    });
    let listing = server.listing();
    let set = ToolSet::builder(Arc::new(server))
        .middleware_stack(stack)
        .build(listing);
    set.unwrap().get("search").unwrap()
}

fn arguments() -> Map<String, Value> {
    let arguments = json!({ "query": "rust", "limit": 5, "tags": ["a", "b"], "sort": "asc" });
    arguments.as_object().cloned().unwrap()
}

/// Allocations of one call, once everything that is made once has been made.
fn allocations_of(tool: &AgentTool, call: &impl AsyncFn(&AgentTool, &CallContext)) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let context = tool.context();
        for _ in 0..3 {
            call(tool, &context).await;
        }
    });
    let context = tool.context();
    let counted = allocation_counter::measure(|| runtime.block_on(call(tool, &context)));
    counted.count_total
}

#[test]
fn a_validated_and_audited_call_stays_in_its_budget() {
    let plain = tool(&MiddlewareStack::new());
    let audited = tool(&MiddlewareStack::new().with(Audit::new()));
    let object = arguments();
    // The copy of the arguments that a test must make is not the call's.
    let copied = allocation_counter::measure(|| drop(object.clone())).count_total;
    let by_object = async |tool: &AgentTool, context: &CallContext| {
        tool.call_object(object.clone(), context).await.unwrap();
    };
    // One box for the server's future and one for its answer; one box more for each middleware.
    let bare = allocations_of(&plain, &by_object) - copied;
    assert!(bare <= 4, "{bare} allocations without middleware");
    let with_audit = allocations_of(&audited, &by_object) - copied;
    assert!(
        with_audit <= bare + 2,
        "{with_audit} allocations with audit, {bare} without"
    );
    // A struct or a value is written into an object first.
    let by_value = async |tool: &AgentTool, context: &CallContext| {
        tool.call_with(&object, context).await.unwrap();
    };
    let from_value = allocations_of(&audited, &by_value);
    assert!(from_value <= 30, "{from_value} allocations from a value");
}
