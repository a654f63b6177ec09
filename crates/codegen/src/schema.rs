//! A tool's schema, made such that types come of it.

use serde_json::{Map, Value, json};

/// What says a rule for a value and not its shape. The generator would make types of their own of
/// these, which no caller wants to build; validation sees to the rules.
const RULES: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "uniqueItems",
];

/// The shape alone, in the words of draft-07, under a name.
pub(crate) fn shape(schema: &str, name: &str) -> Result<Value, String> {
    let mut schema: Value = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    reduce(&mut schema);
    let Value::Object(root) = &mut schema else {
        return Err("the schema is not an object".to_owned());
    };
    // The generator panics at what it cannot follow.
    let definitions = root.get("definitions").and_then(Value::as_object);
    if !root.values().all(|value| stays_within(value, definitions)) {
        return Err("the schema refers to elsewhere".to_owned());
    }
    root.insert("title".to_owned(), json!(name));
    root.entry("type").or_insert(json!("object"));
    Ok(schema)
}

/// Whether every reference leads to a definition. Data that looks like a reference counts as one.
fn stays_within(value: &Value, definitions: Option<&Map<String, Value>>) -> bool {
    match value {
        Value::Object(map) => map.iter().all(|(key, value)| match (key.as_str(), value) {
            ("$ref", Value::String(reference)) => reference
                .strip_prefix("#/definitions/")
                .is_some_and(|name| definitions.is_some_and(|known| known.contains_key(name))),
            (_, value) => stays_within(value, definitions),
        }),
        Value::Array(items) => items.iter().all(|item| stays_within(item, definitions)),
        _ => true,
    }
}

/// Depth is bounded by the parser that made the value.
fn reduce(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => reduce_keywords(keywords),
        Value::Array(schemas) => schemas.iter_mut().for_each(reduce),
        _ => {}
    }
}

fn reduce_keywords(keywords: &mut Map<String, Value>) {
    keywords.retain(|keyword, _| !RULES.contains(&keyword.as_str()));
    // A title would name the type; the place does that better.
    keywords.remove("title");
    if let Some(definitions) = keywords.remove("$defs") {
        keywords.insert("definitions".to_owned(), definitions);
    }
    if keywords.contains_key("prefixItems") {
        // Items by place are taken as they come.
        keywords.remove("prefixItems");
        keywords.remove("items");
    }
    if let Some(value) = keywords.remove("const") {
        keywords.entry("enum").or_insert(json!([value]));
    }
    for (keyword, value) in keywords.iter_mut() {
        match (keyword.as_str(), value) {
            ("$ref", Value::String(reference)) => {
                *reference = reference.replacen("#/$defs/", "#/definitions/", 1);
            }
            // Names, not keywords.
            ("properties" | "definitions", Value::Object(schemas)) => {
                schemas.values_mut().for_each(reduce);
            }
            // Data.
            ("default" | "enum" | "required" | "description", _) => {}
            (_, value) => reduce(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_go_and_shapes_stay() {
        let schema = r##"{"$schema":"x","title":"T","properties":{"pattern":{"type":"string",
            "pattern":"a","default":{"format":1}},"of":{"$ref":"#/$defs/D"}},
            "$defs":{"D":{"const":1}}}"##;
        let expected = json!({"title": "N", "type": "object", "properties": {
            "pattern": {"type": "string", "default": {"format": 1}},
            "of": {"$ref": "#/definitions/D"}}, "definitions": {"D": {"enum": [1]}}});
        assert_eq!(shape(schema, "N").unwrap(), expected);
        assert!(shape("[]", "N").is_err());
        for elsewhere in [
            "https://example.com/a.json",
            "#/definitions/None",
            "#a",
            "#",
        ] {
            let schema = json!({ "properties": { "a": { "$ref": elsewhere } } });
            assert!(shape(&schema.to_string(), "N").is_err(), "{elsewhere}");
        }
    }
}
