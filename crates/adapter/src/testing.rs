//! A server for unit tests, without any wire.

use std::sync::Arc;

use mcp_core::auth::Fingerprint;
use mcp_core::testing::FakeServer;
use mcp_core::{ToolDefinition, ToolOutput};
use serde_json::{Value, json};

/// Answers with what arrived: `<tool>(<arguments>) for <principal>`.
pub(crate) fn echo(id: &str, tools: &[&str]) -> Arc<FakeServer> {
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    echo_with(id, tools.iter().map(|name| definition(name, &schema)))
}

/// The same, with these tools.
pub(crate) fn echo_with(
    id: &str,
    tools: impl Iterator<Item = Arc<ToolDefinition>>,
) -> Arc<FakeServer> {
    let server = FakeServer::new(id).answering(|call, context| {
        Box::pin(async move {
            context.record_attempt(Fingerprint::anonymous());
            let (name, arguments) = (call.tool.name(), Value::Object(call.arguments.clone()));
            let text = format!("{name}({arguments}) for {}", context.principal);
            Ok(ToolOutput::from(text))
        })
    });
    Arc::new(tools.fold(server, |server, tool| server.definition(tool.raw())))
}

pub(crate) fn definition(name: &str, schema: &Value) -> Arc<ToolDefinition> {
    Arc::new(ToolDefinition::from_parts(name, "for tests", schema).unwrap())
}
