//! What all dialects answer alike.

use std::time::Duration;

use mcp_testbed::fault::Request;
use serde_json::{Value, json};

use super::Visit;

/// The user's tools: one that is the user's own, one that tells how often the tools have changed.
pub(super) fn tools(visit: &Visit, user: &str) -> Value {
    let version = visit.world.version(visit.name);
    let tool = |name: String| json!({ "name": name, "inputSchema": { "type": "object" } });
    json!([
        tool("whoami".to_owned()),
        tool(format!("private_{user}")),
        tool(format!("version_{version}")),
    ])
}

/// The result of a call, after the time that its arguments say.
pub(super) async fn call(request: &Request, user: &str) -> Value {
    let arguments = &request.json()["params"]["arguments"];
    let pause = arguments["milliseconds"].as_u64().unwrap_or_default();
    if pause > 0 {
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    let failed = arguments["fate"] == "error";
    let said = format!("{user} {}", arguments["nonce"]);
    json!({ "content": [{ "type": "text", "text": said }], "isError": failed })
}

/// That the tools have changed.
pub(super) fn changed() -> String {
    json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }).to_string()
}
