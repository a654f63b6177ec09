//! A tool of ours as a tool of rig.

use mcp_adapter::{AgentTool, ToolSet};
use mcp_core::ErrorKind;
use rig::completion::ToolDefinition;
use rig::tool::{ToolDyn, ToolError};
use rig::wasm_compat::WasmBoxedFuture;
use serde_json::{Map, Value};

/// All tools of a set, for `AgentBuilder::tools`.
pub fn tools(set: &ToolSet) -> Vec<Box<dyn ToolDyn>> {
    let boxed = |tool| Box::new(RigTool(tool)) as Box<dyn ToolDyn>;
    set.iter().map(boxed).collect()
}

struct RigTool(AgentTool);

impl ToolDyn for RigTool {
    fn name(&self) -> String {
        self.0.name().to_owned()
    }

    fn definition<'a>(&'a self, _prompt: String) -> WasmBoxedFuture<'a, ToolDefinition> {
        Box::pin(std::future::ready(ToolDefinition {
            name: self.name(),
            description: self.0.description().unwrap_or_default().to_owned(),
            parameters: self.0.input_schema_value(),
        }))
    }

    fn call<'a>(&'a self, args: String) -> WasmBoxedFuture<'a, Result<String, ToolError>> {
        Box::pin(async move {
            // Some models send nothing at all for a tool without arguments.
            let arguments: Map<String, Value> = match args.trim() {
                "" | "null" => Map::new(),
                text => serde_json::from_str(text)?,
            };
            let context = self.0.context();
            match self.0.call_object(arguments, &context).await {
                // What the tool says, its own failures too, is for the model.
                Ok(output) => Ok(output.text()),
                // So is what it can mend.
                Err(error) if error.kind() == ErrorKind::InvalidArguments => Ok(error.to_string()),
                Err(error) => Err(ToolError::ToolCallError(Box::new(error))),
            }
        })
    }
}
