//! 2025-11-25: a handshake, and a session that belongs to whoever opened it.

use std::fmt::Write as _;

use mcp_testbed::fault::{Request, Wire};
use serde_json::json;

use super::{Admission, Fate, Visit, answers};

pub(super) async fn answer(visit: &Visit, request: Request, wire: Wire) -> Option<Wire> {
    let (user, fate, mut wire) = match visit.admit(&request, wire).await {
        Admission::User(user, fate, wire) => (user, fate, wire),
        Admission::Over(wire) => return wire,
    };
    let world = &visit.world;
    let session = request.header("mcp-session-id").map(str::to_owned);
    let method = request.rpc_method();
    if method == "initialize" {
        let opened = world.open_session(&user);
        let result = json!({ "protocolVersion": "2025-11-25",
            "capabilities": { "tools": { "listChanged": true } },
            "serverInfo": { "name": "sessions", "version": "1" } });
        let headers = [
            ("Content-Type", "application/json"),
            ("Mcp-Session-Id", opened.as_str()),
        ];
        return fate.send(wire, &headers, &request.result(&result)).await;
    }
    let Some(id) = session else {
        let body = json!({ "jsonrpc": "2.0", "id": null,
            "error": { "code": -32000, "message": "Bad Request: Server not initialized" } });
        let headers = [("Content-Type", "application/json")];
        let sent = wire.respond(400, &headers, &body.to_string()).await;
        return sent.then_some(wire);
    };
    match world.session(&id) {
        None => return wire.respond(404, &[], "").await.then_some(wire),
        Some(owner) if owner != user => {
            world.violation(format!("{user} came with a session of {owner}"));
        }
        Some(_) => {}
    }
    if request.method == "DELETE" {
        world.end_session(&id);
        return wire.respond(200, &[], "").await.then_some(wire);
    }
    if request.method == "GET" {
        return wire.respond(405, &[], "").await.then_some(wire);
    }
    if request.id().is_null() {
        return wire.respond(202, &[], "").await.then_some(wire);
    }
    let arguments = request.json()["params"]["arguments"].clone();
    let result = match method.as_str() {
        "tools/list" => json!({ "tools": answers::tools(visit, &user) }),
        "ping" => json!({}),
        _ => answers::call(&request, &user).await,
    };
    let body = request.result(&result);
    // Changes are told on the way of an answer.
    if arguments["fate"] == "changed" || (fate == Fate::Good && fastrand::u8(..4) == 0) {
        let mut events = String::new();
        if arguments["fate"] == "changed" {
            world.change_tools(visit.name);
            let _ = write!(events, "data: {}\n\n", answers::changed());
        }
        let _ = write!(events, "data: {body}\n\n");
        let headers = [("Content-Type", "text/event-stream")];
        return fate.send(wire, &headers, &events).await;
    }
    let headers = [("Content-Type", "application/json")];
    fate.send(wire, &headers, &body).await
}
