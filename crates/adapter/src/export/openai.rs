//! OpenAI: function tools, strict and not.

use serde_json::{Map, Value, json};

use super::schema::{MAX_DEPTH, Notes, SILENT, at, plain_root, takes_null};
use super::{ExportedTool, parts};
use crate::AgentTool;

/// The tool for OpenAI's Chat Completions API: `{"type":"function","function":{…}}`, not strict.
///
/// The Responses API wants the inner object with `"type":"function"` beside its name.
pub fn openai(tool: &AgentTool) -> ExportedTool {
    let (mut schema, name, description) = parts(tool);
    let mut notes = Notes(Vec::new());
    plain_root(&mut schema, &mut notes);
    let function = json!({ "name": name, "description": description, "parameters": schema });
    ExportedTool {
        declaration: json!({ "type": "function", "function": function }),
        dropped: notes.0,
        nulls_for_absent: false,
    }
}

/// The tool in OpenAI's strict mode, in which the model cannot but write arguments that fit.
///
/// Strict mode takes a part of JSON Schema (OpenAI, "Structured outputs", supported schemas): every
/// object is closed and all its fields are required, so optional ones are made to take `null`, which
/// [`ExportedTool::arguments`] takes back. Keywords beyond the part are dropped. `None` for a tool
/// that needs an object with names of the model's choice (a map), which strict mode cannot say: use
/// [`openai`] for it.
pub fn openai_strict(tool: &AgentTool) -> Option<ExportedTool> {
    let (mut schema, name, description) = parts(tool);
    let root = schema.clone();
    let mut strict = Strict {
        root: &root,
        notes: Notes(Vec::new()),
        made_nullable: false,
    };
    plain_root(&mut schema, &mut strict.notes);
    strict.node(&mut schema, "", 0)?;
    let function = json!({
        "name": name, "description": description, "parameters": schema, "strict": true,
    });
    Some(ExportedTool {
        declaration: json!({ "type": "function", "function": function }),
        dropped: strict.notes.0,
        nulls_for_absent: strict.made_nullable,
    })
}

/// Keywords that strict mode takes.
const TAKEN: [&str; 22] = [
    "type",
    "description",
    "title",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "anyOf",
    "$ref",
    "$defs",
    "definitions",
    "pattern",
    "format",
    "multipleOf",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
];

struct Strict<'r> {
    root: &'r Value,
    notes: Notes,
    made_nullable: bool,
}

impl Strict<'_> {
    /// `None` when the schema cannot be said in strict mode.
    fn node(&mut self, schema: &mut Value, pointer: &str, depth: usize) -> Option<()> {
        if depth >= MAX_DEPTH {
            return None;
        }
        // `true` takes anything, which strict mode cannot say; `false` is never written.
        let object = schema.as_object_mut()?;
        if let Some(branches) = object.remove("oneOf") {
            object.entry("anyOf").or_insert(branches);
            self.notes.drop(pointer, "oneOf", "told as `anyOf`");
        }
        self.leave_out(object, pointer);
        if object.contains_key("$ref") {
            // A reference stands alone; what it refers to is told under `$defs`.
            object.retain(|key, _| {
                matches!(
                    key.as_str(),
                    "$ref" | "$defs" | "definitions" | "description"
                )
            });
        }
        for key in ["$defs", "definitions"] {
            if let Some(Value::Object(defs)) = object.get_mut(key) {
                for (name, definition) in defs {
                    self.node(definition, &at(&at(pointer, key), name), depth + 1)?;
                }
            }
        }
        if let Some(Value::Array(branches)) = object.get_mut("anyOf") {
            for (index, branch) in branches.iter_mut().enumerate() {
                self.node(
                    branch,
                    &at(&at(pointer, "anyOf"), &index.to_string()),
                    depth + 1,
                )?;
            }
        }
        if let Some(items) = object.get_mut("items") {
            self.node(items, &at(pointer, "items"), depth + 1)?;
        }
        let says_object = match object.get("type") {
            Some(Value::String(name)) => name == "object",
            Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
            _ => object.contains_key("properties"),
        };
        if says_object {
            self.close(object, pointer, depth)?;
        } else if ["type", "anyOf", "$ref", "enum", "const"]
            .iter()
            .all(|key| !object.contains_key(*key))
        {
            return None;
        }
        Some(())
    }

    fn leave_out(&mut self, object: &mut Map<String, Value>, pointer: &str) {
        object.retain(|key, _| {
            let taken = TAKEN.contains(&key.as_str());
            if !taken && !SILENT.contains(&key.as_str()) {
                self.notes
                    .drop(pointer, key, "strict mode has no such keyword");
            }
            taken
        });
    }

    /// Closes an object: all fields required, no others.
    fn close(
        &mut self,
        object: &mut Map<String, Value>,
        pointer: &str,
        depth: usize,
    ) -> Option<()> {
        match object.get("additionalProperties") {
            // A map: there is no way to say it.
            Some(Value::Object(_) | Value::Bool(true)) => return None,
            Some(_) => {}
            // At the top, and beside named fields, arguments of other names are seldom meant.
            None if object.contains_key("properties") => {}
            None => return None,
        }
        let required: Vec<String> = object
            .get("required")
            .and_then(Value::as_array)
            .map(|names| {
                names
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default();
        let mut all = Vec::new();
        if let Some(Value::Object(properties)) = object.get_mut("properties") {
            for (name, property) in properties {
                let place = at(&at(pointer, "properties"), name);
                let nullable = takes_null(self.root, property, 0);
                self.node(property, &place, depth + 1)?;
                if !required.contains(name) && !nullable {
                    let plain = std::mem::take(property);
                    *property = json!({ "anyOf": [plain, { "type": "null" }] });
                    self.made_nullable = true;
                }
                all.push(Value::from(name.as_str()));
            }
        }
        object.insert("required".to_owned(), Value::Array(all));
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
        Some(())
    }
}
