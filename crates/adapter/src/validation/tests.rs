//! What a user would miss of validation: clear problems, and no harm from hostile schemas.

use std::time::Duration;

use mcp_core::Failure;
use mcp_core::auth::time::Instant;
use serde_json::json;

use super::*;

fn problems(schema: &Value, arguments: &Value) -> Vec<String> {
    let validation = Validation::compile(&schema.to_string());
    assert_eq!(validation.unchecked(), None);
    match validation.check(arguments) {
        Ok(()) => Vec::new(),
        Err(error) => match error.failure() {
            Failure::InvalidArguments(problems) => {
                problems.iter().map(ToString::to_string).collect()
            }
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn problems_say_where_and_what_to_do() {
    let schema = json!({
        "type": "object",
        "required": ["query", "filters"],
        "additionalProperties": false,
        "properties": {
            "query": { "type": "string", "minLength": 3 },
            "sort": { "enum": ["asc", "desc"] },
            "limit": { "anyOf": [{ "type": "integer" }, { "type": "null" }] },
            "filters": { "type": "array", "items": {
                "type": "object",
                "properties": { "date": { "type": "string", "pattern": r"^\d{4}-\d\d-\d\d$" } },
            } },
        },
    });
    let found = problems(
        &schema,
        &json!({ "query": "ab", "sort": "up", "limit": "7", "filters": [{ "date": "today" }],
                 "extra": 1 }),
    );
    for expected in [
        "/: there is no argument \"extra\"",
        "/query: must have at least 3 characters",
        r#"/sort: must be one of "asc", "desc""#,
        "/limit: fits none of its forms: must be null, is string, or must be integer, is string",
        r"/filters/0/date: must match the pattern ^\d{4}-\d\d-\d\d$",
    ] {
        assert!(
            found.iter().any(|problem| problem == expected),
            "{expected}\n{found:#?}"
        );
    }
    let found = problems(&schema, &json!({ "query": "abc" }));
    assert_eq!(found, ["/: the argument \"filters\" is missing"]);
}

#[test]
fn values_are_not_repeated() {
    let schema = json!({ "properties": {
        "a": { "type": "integer" }, "b": { "enum": [1] }, "c": { "pattern": "^x" },
        "d": { "format": "date" }, "e": { "oneOf": [{ "const": 1 }, { "maximum": 3 }] },
        "f": { "not": { "type": "string" } }, "g": false, "h": { "contentMediaType": "application/json" },
    } });
    let value = "canary-value";
    let arguments = json!({ "a": value, "b": value, "c": value, "d": value, "e": [value],
        "f": value, "g": value, "h": value });
    let found = problems(&schema, &arguments).join("\n");
    assert!(!found.contains("canary"), "{found}");
}

#[test]
fn many_problems_are_cut() {
    let properties: Value = (0..100)
        .map(|n| (format!("p{n}"), json!({ "type": "integer" })))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let arguments: Value = (0..100)
        .map(|n| (format!("p{n}"), json!("x".repeat(100_000))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let found = problems(&json!({ "properties": properties }), &arguments);
    assert_eq!(found.len(), MAX_PROBLEMS + 1);
    assert_eq!(found[MAX_PROBLEMS], "/: 92 more problems");
    assert!(found.join("").len() < 1_000);
}

#[test]
fn the_dialect_is_what_the_schema_says() {
    // In draft-07 a list of `items` is a tuple, in 2020-12 it is no schema.
    let tuple = json!({ "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": { "p": { "items": [{ "type": "integer" }, { "type": "string" }] } } });
    assert_eq!(
        problems(&tuple, &json!({ "p": [1, 2] })),
        ["/p/1: must be string, is integer"]
    );
    let prefix = json!({ "properties": { "p": { "prefixItems": [{ "type": "integer" }] } } });
    assert_eq!(
        problems(&prefix, &json!({ "p": ["x"] })),
        ["/p/0: must be integer, is string"]
    );
}

#[test]
fn nothing_is_fetched() {
    for reference in [
        "http://127.0.0.1:9/schema.json",
        "https://example.com/schema.json",
        "file:///etc/passwd",
    ] {
        let schema = json!({ "properties": { "a": { "$ref": reference } } });
        let validation = Validation::compile(&schema.to_string());
        assert!(validation.unchecked().is_some(), "{reference}");
        assert!(validation.check(&json!({ "a": 1 })).is_ok());
    }
}

#[test]
fn recursive_schemas_work() {
    let tree = json!({ "$ref": "#/$defs/tree", "$defs": { "tree": { "type": "object",
        "required": ["value"],
        "properties": { "value": { "type": "integer" },
            "children": { "type": "array", "items": { "$ref": "#/$defs/tree" } } } } } });
    assert!(problems(&tree, &json!({ "value": 1, "children": [{ "value": 2 }] })).is_empty());
    assert_eq!(
        problems(
            &tree,
            &json!({ "value": 1, "children": [{ "children": [] }] })
        ),
        ["/children/0: the argument \"value\" is missing"]
    );
    // The root, by its own id and by name.
    let named = json!({ "$id": "https://example.com/root", "type": "object",
        "properties": { "a": { "$ref": "https://example.com/root" }, "b": { "$ref": "#here" },
            "c": { "$anchor": "here", "type": "integer" } } });
    assert_eq!(
        problems(&named, &json!({ "a": { "b": "x" } })),
        ["/a/b: must be integer, is string"]
    );
}

#[test]
fn schemas_without_end_are_not_compiled() {
    for endless in [
        json!({ "$ref": "#" }),
        json!({ "allOf": [{ "$ref": "#" }] }),
        json!({ "properties": { "a": { "$ref": "#/$defs/a" } },
            "$defs": { "a": { "anyOf": [{ "$ref": "#/$defs/b" }] },
                "b": { "not": { "$ref": "#/%24defs/a" } } } }),
        json!({ "properties": { "a": { "$anchor": "x", "if": { "$ref": "#x" } } } }),
        json!({ "$dynamicAnchor": "x", "allOf": [{ "$dynamicRef": "#x" }] }),
        json!({ "$id": "https://example.com/r", "allOf": [{ "$ref": "r" }] }),
        json!({ "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": { "a": { "$id": "#x", "allOf": [{ "$ref": "#x" }] } },
            "properties": { "p": { "$ref": "#x" } } }),
    ] {
        let validation = Validation::compile(&endless.to_string());
        assert!(validation.unchecked().is_some(), "{endless}");
        assert!(validation.check(&json!({ "a": 1, "p": 1 })).is_ok());
    }
}

#[test]
fn hostile_schemas_take_no_time() {
    let began = Instant::now();
    let patterns = ["(a+)+$", "(a|aa)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"];
    for pattern in patterns {
        let schema = json!({ "properties": { "a": { "pattern": pattern } } });
        problems(&schema, &json!({ "a": "a".repeat(50_000) }));
    }
    let unchecked = |schema: &Value| {
        let validation = Validation::compile(&schema.to_string());
        validation.unchecked().map(str::to_owned)
    };
    // A look-around, a bomb, too many, too long, too wide.
    assert!(unchecked(&json!({ "properties": { "a": { "pattern": "(?=a)b" } } })).is_some());
    let bomb = json!({ "properties": { "a": { "pattern": "((a{500}){500}){500}" } } });
    assert!(unchecked(&bomb).is_some());
    let many: serde_json::Map<_, _> = (0..100)
        .map(|n| (format!("p{n}"), json!({ "pattern": r"\w{100}" })))
        .collect();
    assert!(unchecked(&json!({ "properties": many })).is_some());
    let long = json!({ "minProperties": 1, "description": "x".repeat(10 << 20) });
    assert!(unchecked(&long).is_some());
    let wide: serde_json::Map<_, _> = (0..100_000).map(|n| (format!("p{n}"), json!({}))).collect();
    assert!(unchecked(&json!({ "properties": wide })).is_some());
    // 2^40 checks of one value, in a screenful of schema.
    let mut defs: serde_json::Map<_, _> = (0..40)
        .map(|n| {
            let next = json!({ "$ref": format!("#/$defs/{}", n + 1) });
            (n.to_string(), json!({ "anyOf": [next, next] }))
        })
        .collect();
    defs.insert("40".to_owned(), json!({ "type": "integer" }));
    let doubling = json!({ "properties": { "a": { "$ref": "#/$defs/0" } }, "$defs": defs });
    assert!(unchecked(&doubling).is_some());
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn an_open_schema_costs_nothing() {
    for open in [json!({}), json!({ "type": "object", "properties": {} })] {
        let validation = Validation::compile(&open.to_string());
        assert!(matches!(validation.0, State::Open));
    }
    let closed = json!({ "type": "object", "additionalProperties": false });
    assert_eq!(
        problems(&closed, &json!({ "a": 1 })),
        ["/: must be an empty object"]
    );
}

#[test]
fn depth_is_no_way_to_keep_a_processor_busy() {
    let began = Instant::now();
    // Each level is looked at by fifty branches, each of which looks at the next by fifty.
    let branch = json!({ "properties": { "a": { "$ref": "#" } }, "required": ["never"] });
    let hostile = json!({ "anyOf": vec![branch; 50] });
    let nested = |depth| (0..depth).fold(json!({}), |inner, _| json!({ "a": inner }));
    let found = problems(&hostile, &nested(60));
    assert_eq!(found, ["/: is nested more than 3 levels deep"]);
    assert!(!problems(&hostile, &nested(2)).is_empty());
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    // Where each level is looked at once, depth costs nothing and is not limited.
    let honest = json!({ "$ref": "#/$defs/filter", "$defs": { "filter": { "oneOf": [
        { "properties": { "field": { "type": "string" } }, "required": ["field"] },
        { "properties": { "and": { "type": "array", "items": { "$ref": "#/$defs/filter" } } },
          "required": ["and"] },
        { "properties": { "a": { "$ref": "#/$defs/filter" } }, "required": ["a"] } ] } } });
    let deep = (0..60).fold(json!({ "field": "x" }), |inner, _| json!({ "a": inner }));
    assert!(problems(&honest, &deep).is_empty());
    // Nor does it where the mistake is at the very bottom.
    let wrong = (0..60).fold(json!({ "field": 7 }), |inner, _| json!({ "a": inner }));
    assert!(!problems(&honest, &wrong).is_empty());
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}
