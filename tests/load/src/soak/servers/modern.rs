//! 2026-07-28: every request by itself, and one stream for who wants to hear of changes.

use mcp_testbed::fault::{Request, Wire};
use serde_json::json;

use super::{Admission, Visit, answers};

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

pub(super) async fn answer(visit: &Visit, request: Request, mut wire: Wire) -> Option<Wire> {
    if request.path == "/prm" || request.path.starts_with("/.well-known/") {
        let host = request.header("host").unwrap_or_default();
        let metadata = json!({ "resource": format!("http://{host}/mcp"),
            "authorization_servers": [visit.auth.issuer()] });
        return wire.json(&metadata.to_string()).await.then_some(wire);
    }
    if request.method != "POST" {
        return wire.respond(405, &[], "").await.then_some(wire);
    }
    let (user, fate, wire) = match visit.admit(&request, wire).await {
        Admission::User(user, fate, wire) => (user, fate, wire),
        Admission::Over(wire) => return wire,
    };
    let mut result = match request.rpc_method().as_str() {
        "server/discover" => json!({ "supportedVersions": ["2026-07-28"],
            "capabilities": { "tools": { "listChanged": true } },
            "ttlMs": 5_000, "cacheScope": "public" }),
        "subscriptions/listen" => {
            tell(visit, &request, wire).await;
            return None;
        }
        "tools/list" => json!({ "tools": answers::tools(visit, &user), "ttlMs": 10_000,
            "cacheScope": "private" }),
        _ => answers::call(&request, &user).await,
    };
    result["resultType"] = json!("complete");
    fate.send(wire, &JSON, &request.result(&result)).await
}

/// Tells of changes until the client goes.
async fn tell(visit: &Visit, request: &Request, mut wire: Wire) {
    let Some(mut versions) = visit.world.changes(visit.name) else {
        return;
    };
    let note = |method: &str| {
        json!({ "jsonrpc": "2.0", "method": format!("notifications/{method}"), "params": {
            "_meta": { "io.modelcontextprotocol/subscriptionId": request.id() },
            "notifications": { "toolsListChanged": true } } })
        .to_string()
    };
    wire.events("").await;
    wire.event(&note("subscriptions/acknowledged")).await;
    loop {
        tokio::select! {
            changed = versions.changed() => {
                if changed.is_err() || !wire.event(&note("tools/list_changed")).await {
                    return;
                }
            }
            () = wire.closed() => return,
        }
    }
}
