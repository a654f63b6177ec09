//! Gemini: function declarations.

use serde_json::{Map, Value, json};

use super::schema::{MAX_DEPTH, Notes, SILENT, at, plain_root, target};
use super::{ExportedTool, parts};
use crate::AgentTool;

/// Keywords of Gemini's `Schema` that are the same in JSON Schema.
const SAME: [&str; 15] = [
    "title",
    "description",
    "format",
    "default",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "nullable",
];

/// The longest text of references that are written out.
const MAX_NODES: usize = 2_000;

/// The tool as one of Gemini's `functionDeclarations`.
///
/// `parameters` is the API's own `Schema`, a part of OpenAPI 3.0: references are written out, a type
/// with `null` becomes `nullable`, a constant becomes a choice of one, and the rest is dropped.
/// A name that begins with a digit or `-`, which the API does not take, gets a `_` in front.
pub fn gemini(tool: &AgentTool) -> ExportedTool {
    let (mut schema, name, description) = parts(tool);
    let root = schema.clone();
    let mut writer = Writer {
        root: &root,
        notes: Notes(Vec::new()),
        left: MAX_NODES,
    };
    plain_root(&mut schema, &mut writer.notes);
    let parameters = writer.schema(&schema, "", 0);
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let name = if begins_well {
        name.to_owned()
    } else {
        format!("_{}", name.get(..63.min(name.len())).unwrap_or_default())
    };
    let mut declaration = json!({ "name": name, "description": description });
    // An object without fields is refused; no parameters at all is how to say it.
    let fields = parameters.get("properties").and_then(Value::as_object);
    if fields.is_some_and(|fields| !fields.is_empty())
        && let Some(declaration) = declaration.as_object_mut()
    {
        declaration.insert("parameters".to_owned(), parameters);
    }
    ExportedTool {
        declaration,
        dropped: writer.notes.0,
        nulls_for_absent: false,
    }
}

struct Writer<'r> {
    root: &'r Value,
    notes: Notes,
    left: usize,
}

impl Writer<'_> {
    fn schema(&mut self, schema: &Value, pointer: &str, depth: usize) -> Value {
        let Some(source) = schema.as_object() else {
            return json!({});
        };
        if depth >= MAX_DEPTH || self.left == 0 {
            self.notes.drop(pointer, "", "it is nested too deeply");
            return json!({});
        }
        self.left -= 1;
        if let Some(reference) = source.get("$ref").and_then(Value::as_str) {
            let Some(target) = target(self.root, reference) else {
                self.notes.drop(pointer, "$ref", "it refers to elsewhere");
                return json!({});
            };
            let mut written = self.schema(target, pointer, depth + 1);
            if let (Some(description), Some(written)) =
                (source.get("description"), written.as_object_mut())
            {
                written.insert("description".to_owned(), description.clone());
            }
            return written;
        }
        let mut written = Map::new();
        for (key, value) in source {
            self.keyword(key, value, &mut written, pointer, depth);
        }
        Value::Object(written)
    }

    fn keyword(
        &mut self,
        key: &str,
        value: &Value,
        written: &mut Map<String, Value>,
        pointer: &str,
        depth: usize,
    ) {
        let here = at(pointer, key);
        match (key, value) {
            ("type", Value::String(_)) => {
                written.insert(key.to_owned(), value.clone());
            }
            ("type", Value::Array(names)) => self.types(names, written, pointer),
            ("properties", Value::Object(properties)) => {
                let fields = properties.iter().map(|(name, schema)| {
                    (
                        name.clone(),
                        self.schema(schema, &at(&here, name), depth + 1),
                    )
                });
                let fields: Map<String, Value> = fields.collect();
                written.insert(key.to_owned(), Value::Object(fields));
            }
            ("items", Value::Object(_)) => {
                let items = self.schema(value, &here, depth + 1);
                written.insert(key.to_owned(), items);
            }
            ("anyOf" | "oneOf", Value::Array(branches)) => {
                self.branches(branches, written, &here, depth);
            }
            ("enum", Value::Array(choices)) => self.choices(choices, written, pointer),
            ("const", choice) => self.choices(std::slice::from_ref(choice), written, pointer),
            // Written out where they are used; and what is the rule for the model anyway.
            ("$defs" | "definitions", _) | ("additionalProperties", Value::Bool(_)) => {}
            (key, value) if SAME.contains(&key) => {
                written.insert(key.to_owned(), value.clone());
            }
            (key, _) if SILENT.contains(&key) => {}
            (key, _) => self
                .notes
                .drop(pointer, key, "the provider has no such keyword"),
        }
    }

    fn types(&mut self, names: &[Value], written: &mut Map<String, Value>, pointer: &str) {
        let mut others = names.iter().filter(|name| *name != "null");
        if others.clone().count() < names.len() {
            written.insert("nullable".to_owned(), Value::Bool(true));
        }
        match (others.next(), others.next()) {
            (Some(only), None) => {
                written.insert("type".to_owned(), only.clone());
            }
            (Some(_), Some(_)) => {
                let branch = |name: &Value| json!({ "type": name });
                let several = names.iter().filter(|name| *name != "null").map(branch);
                written.insert("anyOf".to_owned(), several.collect());
            }
            _ => self
                .notes
                .drop(pointer, "type", "the provider has no type of `null` alone"),
        }
    }

    fn branches(
        &mut self,
        branches: &[Value],
        written: &mut Map<String, Value>,
        pointer: &str,
        depth: usize,
    ) {
        let is_null = |branch: &Value| branch.get("type").is_some_and(|name| name == "null");
        let mut schemas = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            if is_null(branch) {
                written.insert("nullable".to_owned(), Value::Bool(true));
            } else {
                schemas.push(self.schema(branch, &at(pointer, &index.to_string()), depth + 1));
            }
        }
        // One of one is that one.
        if let [Value::Object(only)] = schemas.as_mut_slice() {
            for (key, value) in std::mem::take(only) {
                written.entry(key).or_insert(value);
            }
        } else {
            written.insert("anyOf".to_owned(), Value::Array(schemas));
        }
    }

    /// The provider's choices are texts.
    fn choices(&mut self, choices: &[Value], written: &mut Map<String, Value>, pointer: &str) {
        if choices.iter().any(Value::is_null) {
            written.insert("nullable".to_owned(), Value::Bool(true));
        }
        let kept: Vec<&Value> = choices.iter().filter(|choice| !choice.is_null()).collect();
        if kept.iter().all(|choice| choice.is_string()) {
            written.insert("enum".to_owned(), kept.into_iter().cloned().collect());
            written.entry("type").or_insert_with(|| "string".into());
        } else {
            self.notes
                .drop(pointer, "enum", "the provider's choices are texts");
        }
    }
}
