//! Tools as the APIs of model providers want them declared.
//!
//! Each provider takes a part of JSON Schema. An export is made on a copy, and says what it had to
//! leave out; calls are validated against the server's own schema all the same, so that a model that
//! was told less is told by the error.

mod anthropic;
mod gemini;
mod openai;
mod schema;

use serde_json::{Map, Value};

pub use self::anthropic::anthropic;
pub use self::gemini::gemini;
pub use self::openai::{openai, openai_strict};
use crate::AgentTool;

/// A tool as a provider wants it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExportedTool {
    /// The declaration, ready for the provider's list of tools.
    pub declaration: Value,
    /// What the provider cannot be told.
    pub dropped: Vec<Dropped>,
    /// Whether arguments that are left out come as `null`: see [`ExportedTool::arguments`].
    pub nulls_for_absent: bool,
}

/// A part of a schema that could not be exported.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Dropped {
    /// Where it stood, as a JSON pointer into the input schema.
    pub pointer: String,
    /// Why it was left out.
    pub reason: &'static str,
}

impl ExportedTool {
    /// The arguments for the tool, given those that the model wrote. Where a provider makes every
    /// argument required (OpenAI's strict mode), a model says `null` for one that it leaves out; that
    /// is taken back here, for arguments of which the server's schema does not want a `null`.
    pub fn arguments(
        &self,
        tool: &AgentTool,
        mut written: Map<String, Value>,
    ) -> Map<String, Value> {
        if self.nulls_for_absent {
            let root = tool.input_schema_value();
            schema::take_back_nulls(&root, &root, &mut written, 0);
        }
        written
    }
}

/// The tool's input schema, its name and its description.
fn parts(tool: &AgentTool) -> (Value, &str, &str) {
    let description = tool.description().unwrap_or_default();
    (tool.input_schema_value(), tool.name(), description)
}

#[cfg(test)]
mod tests;
