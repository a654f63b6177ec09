//! The tools, and who may see them.

use serde_json::{Value, json};

/// Who is calling, as far as the server found out.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    pub(super) user: String,
    pub(super) tenant: String,
}

/// The definitions that a caller may see.
pub(super) fn list(caller: &Caller) -> Vec<Value> {
    let object = |properties: Value, required: Value| {
        json!({ "type": "object", "properties": properties, "required": required,
            "additionalProperties": false })
    };
    let mut tools = vec![
        json!({ "name": "whoami", "title": "Who am I", "description": "Says who is calling.",
            "inputSchema": object(json!({}), json!([])),
            "annotations": { "readOnlyHint": true } }),
        json!({ "name": "add", "description": "Adds two numbers.",
            "inputSchema": object(
                json!({ "a": { "type": "number" }, "b": { "type": "number" } }),
                json!(["a", "b"])),
            "outputSchema": { "type": "object", "properties": { "sum": { "type": "number" } } },
            "annotations": { "readOnlyHint": true, "idempotentHint": true } }),
        json!({ "name": "slow", "description": "Answers after a while.",
            "inputSchema": object(
                json!({ "milliseconds": { "type": "integer", "minimum": 0, "maximum": 60_000 } }),
                json!(["milliseconds"])) }),
    ];
    tools.extend(match caller.user.as_str() {
        "alice" => Some(
            json!({ "name": "read-notes", "description": "Reads Alice's notes.",
            "inputSchema": object(json!({}), json!([])) }),
        ),
        "bob" => Some(
            json!({ "name": "book.room", "description": "Books a room for Bob.",
            "inputSchema": object(
                json!({ "site": { "type": "string", "x-mcp-header": "Site" },
                    "seats": { "type": "integer", "minimum": 1, "maximum": 12, "default": 4 } }),
                json!(["site"])) }),
        ),
        "" => Some(json!({ "name": "environment",
            "description": "Names the environment variables that this process has.",
            "inputSchema": object(json!({}), json!([])) })),
        _ => None,
    });
    tools
}

/// The result of a call, or what is wrong with it.
pub(super) async fn call(caller: &Caller, name: &str, arguments: &Value) -> Result<Value, String> {
    if !list(caller).iter().any(|tool| tool["name"] == name) {
        return Err(format!("Unknown tool: {name}"));
    }
    let text = |text: String| json!({ "content": [{ "type": "text", "text": text }] });
    Ok(match name {
        "whoami" => text(format!("{} of {}", caller.user, caller.tenant)),
        "add" => {
            let number = |name: &str| arguments[name].as_f64().unwrap_or_default();
            let sum = number("a") + number("b");
            json!({ "content": [{ "type": "text", "text": sum.to_string() }],
                "structuredContent": { "sum": sum } })
        }
        "slow" => {
            let pause = arguments["milliseconds"].as_u64().unwrap_or_default();
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
            text("at last".to_owned())
        }
        "read-notes" => text("buy milk".to_owned()),
        "book.room" => text(format!(
            "room in {} for {}",
            arguments["site"].as_str().unwrap_or_default(),
            arguments["seats"].as_u64().unwrap_or(4)
        )),
        _ => {
            let mut names: Vec<_> = std::env::vars_os()
                .map(|(name, _)| name.to_string_lossy().into_owned())
                .collect();
            names.sort_unstable();
            text(names.join(" "))
        }
    })
}
