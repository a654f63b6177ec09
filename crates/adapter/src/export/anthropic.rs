//! Anthropic: Messages API, `tools`.

use serde_json::json;

use super::schema::{Notes, plain_root};
use super::{ExportedTool, parts};
use crate::AgentTool;

/// The tool for Anthropic's Messages API: `name`, `description`, `input_schema`.
///
/// The API takes JSON Schema 2020-12; at the top it wants a plain object.
pub fn anthropic(tool: &AgentTool) -> ExportedTool {
    let (mut schema, name, description) = parts(tool);
    let mut notes = Notes(Vec::new());
    plain_root(&mut schema, &mut notes);
    ExportedTool {
        declaration: json!({ "name": name, "description": description, "input_schema": schema }),
        dropped: notes.0,
        nulls_for_absent: false,
    }
}
