//! What the exports have in common: walking a schema, and finding what it refers to.

use serde_json::{Map, Value};

use super::Dropped;

/// Schemas within schemas, references followed.
pub(super) const MAX_DEPTH: usize = 32;

/// Keywords of which a provider needs no word: they say nothing of what fits.
pub(super) const SILENT: [&str; 5] = ["$schema", "$id", "$comment", "examples", "readOnly"];

/// Keywords that join schemas at the root, where providers want a plain object.
pub(super) const JOINING: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];

/// Notes what was left out.
pub(super) struct Notes(pub(super) Vec<Dropped>);

impl Notes {
    pub(super) fn drop(&mut self, pointer: &str, key: &str, reason: &'static str) {
        self.0.push(Dropped {
            pointer: at(pointer, key),
            reason,
        });
    }
}

pub(super) fn at(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// What a reference within the schema means; nothing for any other.
pub(super) fn target<'r>(root: &'r Value, reference: &str) -> Option<&'r Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// Makes the root a plain object: its type said, joins left out.
pub(super) fn plain_root(schema: &mut Value, notes: &mut Notes) {
    let behind = followed(schema, schema).clone();
    let Some(root) = schema.as_object_mut() else {
        return;
    };
    if root.remove("$ref").is_some()
        && let Value::Object(behind) = behind
    {
        for (key, value) in behind {
            root.entry(key).or_insert(value);
        }
        root.remove("$ref");
    }
    for key in JOINING {
        if root.remove(key).is_some() {
            notes.drop("", key, "the provider takes no such keyword at the top");
        }
    }
    root.remove("$schema");
    root.insert("type".to_owned(), "object".into());
    root.entry("properties")
        .or_insert_with(|| Value::Object(Map::new()));
}

/// Takes out `null`s that stand for arguments that were left out.
pub(super) fn take_back_nulls(
    root: &Value,
    schema: &Value,
    written: &mut Map<String, Value>,
    depth: usize,
) {
    let schema = followed(root, schema);
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    if depth >= MAX_DEPTH {
        return;
    }
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    written.retain(|name, value| {
        let known = properties.get(name);
        let unwanted = |schema| !takes_null(root, schema, 0) && !is_required(name);
        !(value.is_null() && known.is_some_and(unwanted))
    });
    for (name, value) in written {
        let Some(schema) = properties.get(name) else {
            continue;
        };
        let schema = followed(root, schema);
        match value {
            Value::Object(object) => take_back_nulls(root, schema, object, depth + 1),
            Value::Array(items) => {
                let Some(of) = schema.get("items") else {
                    continue;
                };
                for item in items.iter_mut().filter_map(Value::as_object_mut) {
                    take_back_nulls(root, of, item, depth + 1);
                }
            }
            _ => {}
        }
    }
}

/// The schema behind a chain of references.
pub(super) fn followed<'r>(root: &'r Value, mut schema: &'r Value) -> &'r Value {
    for _ in 0..MAX_DEPTH {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            break;
        };
        let Some(next) = target(root, reference) else {
            break;
        };
        schema = next;
    }
    schema
}

/// Whether a schema lets `null` pass, as far as can be seen.
pub(super) fn takes_null(root: &Value, schema: &Value, depth: usize) -> bool {
    let schema = followed(root, schema);
    if depth >= MAX_DEPTH {
        return false;
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        return choices.iter().any(Value::is_null);
    }
    if let Some(only) = schema.get("const") {
        return only.is_null();
    }
    match schema.get("type") {
        Some(Value::String(name)) => return name == "null",
        Some(Value::Array(names)) => return names.iter().any(|name| name == "null"),
        _ => {}
    }
    let any = |key: &str| {
        let branches = schema.get(key).and_then(Value::as_array)?;
        let takes = |branch| takes_null(root, branch, depth + 1);
        Some(branches.iter().any(takes))
    };
    any("anyOf").or_else(|| any("oneOf")).unwrap_or(true)
}
