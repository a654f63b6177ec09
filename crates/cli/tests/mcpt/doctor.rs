//! `mcpt doctor` names the true cause.

mod causes;
mod children;
mod network;
mod settings;
mod tokens;

use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::{Value, json};

use crate::command::{Ran, Shell, child_command};

/// Examines the one server of a file that looks like this.
async fn examine(shell: &Shell, entry: &Value) -> Ran {
    let file = json!({ "mcpServers": { "one": entry } });
    shell.write("mcp.json", &file.to_string());
    shell.run(&["doctor", "--json", "--timeout", "5s"]).await
}

/// The verdict on a step; empty where it was not come to.
fn verdict(ran: &Ran, step: &str) -> String {
    let document = ran.json();
    let steps = document["servers"][0]["steps"].as_array().unwrap().clone();
    let mut found = steps.iter().filter(|it| it["step"] == step);
    let status = found.next().map(|it| it["status"].clone());
    assert!(found.next().is_none(), "{step} is told once: {document}");
    status
        .unwrap_or_default()
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The step that failed, with which error, and what is advised.
fn failed(ran: &Ran, step: &str, kind: &str, code: i32, advice: &str) {
    let document = ran.json();
    let one = &document["servers"][0];
    assert_eq!(verdict(ran, step), "failed", "{document}");
    assert_eq!((ran.kind().as_str(), ran.code), (kind, code), "{document}");
    assert_eq!(one["status"], "failed");
    let given = one["advice"].as_str().unwrap();
    assert!(
        given.contains(advice),
        "{advice:?} is not in {given:?}; {document}"
    );
    assert!(!given.contains('\n'));
    let steps = one["steps"].as_array().unwrap();
    let failures = steps.iter().filter(|it| it["status"] == "failed");
    assert_eq!(failures.count(), 1, "{document}");
    ran.shows_nothing_of("test-token");
}

fn with_token(url: &str, token: &str) -> (Shell, Value) {
    let entry = json!({ "url": url, "headers": { "X-Tenant-Id": "acme" },
        "auth": { "type": "bearer", "token": "${TOKEN}" } });
    (Shell::new().var("TOKEN", token), entry)
}

/// A server of 2026-07-28 that does one thing otherwise.
async fn server(
    odd: impl Fn(&Request) -> Option<(u16, &'static str, String)> + Clone + Send + Sync + 'static,
) -> FaultServer {
    FaultServer::start(move |request: Request, mut wire: Wire| {
        let odd = odd.clone();
        async move {
            let written = match odd(&request) {
                Some((status, name, value)) => {
                    wire.respond(status, &[(name, value.as_str())], "").await
                }
                None => wire.modern(&request).await,
            };
            written.then_some(wire)
        }
    })
    .await
}

async fn embedded() -> EmbeddedServer {
    EmbeddedServer::start(Duration::from_secs(600))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_server_that_works() {
    let server = embedded().await;
    let token = server.tokens().issue("alice").access;
    let (shell, entry) = with_token(server.url(), &token);
    let ran = examine(&shell, &entry).await;
    let document = ran.json();
    assert_eq!(ran.code, 0, "{document}");
    let one = &document["servers"][0];
    assert_eq!(one["status"], "ok", "{document}");
    assert_eq!(one["advice"], json!(null));
    assert_eq!(one["transport"], "streamable-http");
    assert_eq!(one["protocol_version"], "2026-07-28");
    let steps = one["steps"].as_array().unwrap();
    let names: Vec<_> = steps
        .iter()
        .map(|it| it["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "configuration",
            "dns",
            "tcp",
            "tls",
            "protocol",
            "authentication",
            "scopes",
            "tools",
            "schemas",
            "ping"
        ]
    );
    assert!(steps.iter().all(|it| it["duration_ms"].is_number()));
    ran.shows_nothing_of(&token);

    let ran = shell.run(&["doctor", "one"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert!(ran.stdout.starts_with("one  ok"), "{}", ran.stdout);
    assert!(ran.stdout.contains("ping"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_child_that_works() {
    let child = child_command();
    let entry = json!({ "command": child[0], "args": child[1..] });
    let ran = examine(&Shell::new(), &entry).await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(ran.json()["servers"][0]["transport"], "stdio");
    for step in [
        "configuration",
        "start",
        "protocol",
        "tools",
        "schemas",
        "ping",
    ] {
        assert_eq!(verdict(&ran, step), "ok", "{step}: {}", ran.stdout);
    }
}
