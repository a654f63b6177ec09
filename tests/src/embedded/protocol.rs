//! What is answered to which method, whatever carries it.

use serde_json::{Value, json};

use super::tools::{self, Caller};

/// The newest version spoken, without handshake.
pub(super) const STATELESS: &str = "2026-07-28";
/// The version spoken after `initialize`.
pub(super) const SESSION: &str = "2025-11-25";

/// The answer to a message; `None` to a notification.
pub(super) async fn answer(caller: &Caller, message: &Value) -> Option<Value> {
    let id = message.get("id")?;
    let params = &message["params"];
    let stateless = params["_meta"]["io.modelcontextprotocol/protocolVersion"] == STATELESS;
    let outcome = match message["method"].as_str().unwrap_or_default() {
        "server/discover" => Ok(json!({ "supportedVersions": [STATELESS, SESSION],
            "capabilities": { "tools": {} }, "ttlMs": 60_000, "cacheScope": "public" })),
        "initialize" => Ok(
            json!({ "protocolVersion": SESSION, "capabilities": { "tools": {} },
            "serverInfo": info() }),
        ),
        "ping" => Ok(json!({})),
        "tools/list" if stateless => Ok(json!({ "tools": tools::list(caller),
            "ttlMs": 60_000, "cacheScope": "private" })),
        "tools/list" => Ok(json!({ "tools": tools::list(caller) })),
        "tools/call" => {
            let name = params["name"].as_str().unwrap_or_default();
            tools::call(caller, name, &params["arguments"])
                .await
                .map_err(|text| (-32602, text))
        }
        other => Err((-32601, format!("Method not found: {other}"))),
    };
    Some(match outcome {
        Ok(mut result) => {
            if stateless {
                result["resultType"] = json!("complete");
                result["_meta"]["io.modelcontextprotocol/serverInfo"] = info();
            }
            json!({ "jsonrpc": "2.0", "id": id, "result": result })
        }
        Err((code, message)) => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
        }
    })
}

fn info() -> Value {
    json!({ "name": "embedded", "title": "Embedded server", "version": env!("CARGO_PKG_VERSION") })
}
