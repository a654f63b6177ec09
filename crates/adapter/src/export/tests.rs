//! Exports as a provider reads them.

use serde_json::{Value, json};

use super::*;

fn tool_of(schema: &Value) -> AgentTool {
    let never = |_: Value| async { Ok("") };
    AgentTool::from_parts("search", "Looks", schema, never).unwrap()
}

fn rich() -> AgentTool {
    tool_of(&json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["query"],
        "properties": {
            "query": { "type": "string", "minLength": 2 },
            "limit": { "type": "integer", "default": 10 },
            "place": { "$ref": "#/$defs/Place", "description": "where" },
            "sort": { "anyOf": [{ "const": "asc" }, { "const": "desc" }, { "type": "null" }] },
            "tags": { "type": ["array", "null"], "items": { "type": "string" }, "uniqueItems": true },
        },
        "$defs": { "Place": { "type": "object", "properties": { "city": { "type": "string" } } } },
    }))
}

fn reasons(exported: &ExportedTool) -> Vec<String> {
    exported
        .dropped
        .iter()
        .map(|dropped| dropped.pointer.clone())
        .collect()
}

#[test]
fn anthropic_and_plain_openai_keep_the_schema() {
    let tool = rich();
    let mut expected = tool.input_schema_value();
    expected.as_object_mut().unwrap().remove("$schema");
    let exported = anthropic(&tool);
    assert_eq!(exported.declaration["input_schema"], expected);
    assert!(exported.dropped.is_empty());
    let exported = openai(&tool);
    assert_eq!(exported.declaration["function"]["parameters"], expected);
    assert_eq!(exported.declaration["function"]["name"], "search");

    let joined = tool_of(&json!({ "anyOf": [{ "required": ["a"] }] }));
    let exported = anthropic(&joined);
    assert_eq!(
        exported.declaration["input_schema"],
        json!({ "type": "object", "properties": {} })
    );
    assert_eq!(reasons(&exported), ["/anyOf"]);
}

#[test]
fn strict_mode_is_closed_and_can_be_taken_back() {
    let tool = rich();
    let exported = openai_strict(&tool).unwrap();
    let parameters = &exported.declaration["function"]["parameters"];
    assert_eq!(exported.declaration["function"]["strict"], true);
    assert_eq!(parameters["additionalProperties"], false);
    let required: Vec<_> = parameters["required"].as_array().unwrap().iter().collect();
    assert_eq!(required.len(), 5);
    assert_eq!(
        parameters["properties"]["query"],
        json!({ "type": "string" })
    );
    assert_eq!(
        parameters["properties"]["limit"],
        json!({ "anyOf": [{ "type": "integer" }, { "type": "null" }] })
    );
    assert_eq!(parameters["$defs"]["Place"]["required"], json!(["city"]));
    let mut dropped = reasons(&exported);
    dropped.sort();
    assert_eq!(
        dropped,
        [
            "/properties/limit/default",
            "/properties/query/minLength",
            "/properties/tags/uniqueItems"
        ]
    );

    let written = json!({ "query": "x", "limit": null, "sort": null, "tags": null,
        "place": { "city": null } });
    let arguments = exported.arguments(&tool, written.as_object().cloned().unwrap());
    assert_eq!(
        Value::Object(arguments),
        json!({ "query": "x", "sort": null, "tags": null, "place": {} })
    );
    let plain = openai(&tool);
    let kept = plain.arguments(
        &tool,
        json!({ "limit": null }).as_object().cloned().unwrap(),
    );
    assert_eq!(kept.len(), 1);
}

#[test]
fn strict_mode_says_when_it_cannot() {
    for schema in [
        json!({ "properties": { "map": { "type": "object" } } }),
        json!({ "properties": { "map": { "type": "object", "additionalProperties": {} } } }),
        json!({ "properties": { "any": {} } }),
        json!({ "properties": { "any": true } }),
    ] {
        assert!(openai_strict(&tool_of(&schema)).is_none(), "{schema}");
    }
    assert!(openai_strict(&tool_of(&json!({}))).is_some());
}

#[test]
fn gemini_gets_its_own_schema() {
    let exported = gemini(&rich());
    let parameters = &exported.declaration["parameters"];
    assert_eq!(
        parameters["properties"]["place"],
        json!({ "type": "object", "properties": { "city": { "type": "string" } },
                "description": "where" })
    );
    assert_eq!(parameters["properties"]["tags"]["nullable"], true);
    assert_eq!(parameters["properties"]["tags"]["type"], "array");
    assert_eq!(parameters["properties"]["sort"]["nullable"], true);
    assert_eq!(reasons(&exported), ["/properties/tags/uniqueItems"]);
    let text = parameters.to_string();
    assert!(!text.contains('$') && !text.contains("const"), "{text}");
    // No parameters rather than an object without fields.
    assert!(
        gemini(&tool_of(&json!({})))
            .declaration
            .get("parameters")
            .is_none()
    );
    let digits = tool_of(&json!({})).with_name("3d").unwrap();
    assert_eq!(gemini(&digits).declaration["name"], "_3d");
}

#[test]
fn hostile_schemas_end() {
    let mut defs: Map<String, Value> = (0..40)
        .map(|n| {
            let next = json!({ "$ref": format!("#/$defs/{}", n + 1) });
            (
                n.to_string(),
                json!({ "properties": { "a": next, "b": next } }),
            )
        })
        .collect();
    defs.insert("40".to_owned(), json!({ "$ref": "#/$defs/0" }));
    let doubling =
        tool_of(&json!({ "properties": { "a": { "$ref": "#/$defs/0" } }, "$defs": defs }));
    assert!(!gemini(&doubling).dropped.is_empty());
    let _ = openai_strict(&doubling);
    let endless = tool_of(&json!({ "properties": { "a": { "$ref": "#/properties/a" } } }));
    for exported in [gemini(&endless), anthropic(&endless)] {
        let written = json!({ "a": null }).as_object().cloned().unwrap();
        let exported = ExportedTool {
            nulls_for_absent: true,
            ..exported
        };
        let _ = exported.arguments(&endless, written);
    }
    let _ = openai_strict(&endless);
}

#[test]
fn a_root_that_is_a_reference_is_written_out() {
    let tree = tool_of(&json!({ "$ref": "#/$defs/tree", "$defs": { "tree": {
        "type": "object", "required": ["value"], "properties": { "value": { "type": "integer" },
            "children": { "type": "array", "items": { "$ref": "#/$defs/tree" } } } } } }));
    let strict = openai_strict(&tree).unwrap();
    let exports = [
        strict.declaration["function"]["parameters"].clone(),
        anthropic(&tree).declaration["input_schema"].clone(),
        gemini(&tree).declaration["parameters"].clone(),
    ];
    for parameters in exports {
        assert_eq!(parameters["type"], "object", "{parameters}");
        assert_eq!(
            parameters["properties"]["value"]["type"], "integer",
            "{parameters}"
        );
    }
}
