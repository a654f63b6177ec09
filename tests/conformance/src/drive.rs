//! What an agent does: list the tools, then call them.

use anyhow::{Context as _, Result};
use mcp_core::{CallContext, Failure, ToolCall, ToolDefinition, ToolServer};
use serde_json::{Map, Value, json};

use crate::credentials::Context;

/// Lists, then makes the calls that the suite asks for; without such, calls every tool once.
pub(crate) async fn drive(server: &dyn ToolServer, wanted: &Context) -> Result<()> {
    let context = CallContext::default();
    let outcome = calls(server, wanted, &context).await;
    server.close(&context).await;
    outcome
}

async fn calls(server: &dyn ToolServer, wanted: &Context, context: &CallContext) -> Result<()> {
    let listing = server.list_tools(context).await.map_err(chain)?;
    if wanted.tool_calls.is_empty() {
        for tool in &listing.tools {
            let other = listing
                .tools
                .iter()
                .find(|other| other.name() != tool.name());
            let arguments = arguments(tool, other.map(|other| &**other))?;
            match server
                .call_tool(ToolCall::new(tool, &arguments), context)
                .await
            {
                // The arguments are made up: a server may say that it has no use for them.
                Err(error) if !matches!(error.failure(), Failure::Rpc { .. }) => {
                    return Err(chain(error));
                }
                _ => {}
            }
        }
        return Ok(());
    }
    for call in &wanted.tool_calls {
        let tool = listing.tools.iter().find(|tool| tool.name() == call.name);
        let tool = tool.with_context(|| format!("the server has no tool `{}`", call.name))?;
        server
            .call_tool(ToolCall::new(tool, &call.arguments), context)
            .await
            .map_err(chain)?;
    }
    Ok(())
}

fn chain(error: mcp_core::Error) -> anyhow::Error {
    error.into()
}

/// Something for each required argument. One that is named so gets a schema, that of another tool.
fn arguments(tool: &ToolDefinition, other: Option<&ToolDefinition>) -> Result<Map<String, Value>> {
    let schema: Value = serde_json::from_str(tool.input_schema())?;
    let mut arguments = Map::new();
    for name in schema["required"].as_array().into_iter().flatten() {
        let Some(name) = name.as_str() else { continue };
        let value = match schema["properties"][name]["type"].as_str() {
            Some("number" | "integer") => json!(2),
            Some("boolean") => json!(true),
            Some("array") => json!([]),
            Some("object") => match other.filter(|_| name == "schema") {
                Some(other) => serde_json::from_str(other.input_schema())?,
                None => json!({}),
            },
            _ => json!("text"),
        };
        arguments.insert(name.to_owned(), value);
    }
    Ok(arguments)
}
