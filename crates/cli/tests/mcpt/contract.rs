//! Promises of the command that no other module is about.

use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_testbed::fault::{FaultServer, Request, Wire};
use mcp_testbed::oauth::{AuthServer, Reply};
use serde_json::{Value, json};

use crate::command::{Ran, Shell, child_command};

const HOUR: Duration = Duration::from_secs(3600);

fn file(servers: &Value) -> String {
    json!({ "mcpServers": servers }).to_string()
}

fn outcome(ran: &Ran) -> (String, i32) {
    (ran.kind(), ran.code)
}

/// A server of 2026-07-28 whose calls are answered like this.
async fn answering(
    call: impl Fn(&Request) -> Option<Value> + Clone + Send + Sync + 'static,
) -> FaultServer {
    FaultServer::start(move |request: Request, mut wire: Wire| {
        let call = call.clone();
        async move {
            if request.rpc_method() != "tools/call" {
                return wire.modern(&request).await.then_some(wire);
            }
            // Nothing to say: the connection ends.
            let result = request.result(&call(&request)?);
            wire.json(&result).await.then_some(wire)
        }
    })
    .await
}

#[tokio::test]
async fn the_exit_code_says_how_a_call_went() {
    let wrong = answering(|_| {
        let text = json!([{ "type": "text", "text": "no such room" }]);
        Some(json!({ "resultType": "complete", "content": text, "isError": true }))
    })
    .await;
    let shell = Shell::new();
    let url = wrong.url();
    let ran = shell.run(&["call", "echo", "--json", "--url", &url]).await;
    assert_eq!(
        (ran.json()["status"].as_str(), ran.code),
        (Some("tool_error"), 1)
    );
    let ran = shell.run(&["call", "echo", "--url", &url]).await;
    assert_eq!((ran.stdout.as_str(), ran.code), ("no such room\n", 1));
    let ran = shell
        .run(&["call", "echo", "--json", "--repeat", "2", "--url", &url])
        .await;
    let document = ran.json();
    assert_eq!(
        (document["tool_error"].as_u64(), ran.code),
        (Some(2), 1),
        "{document}"
    );

    let lost = answering(|_| None).await;
    let url = lost.url();
    let ran = shell.run(&["call", "echo", "--json", "--url", &url]).await;
    assert_eq!(
        outcome(&ran),
        ("outcome_unknown".to_owned(), 5),
        "{}",
        ran.stdout
    );
    assert_eq!(ran.json()["attempts"], 1);
    let ran = shell
        .run(&["call", "echo", "--json", "--repeat", "2", "--url", &url])
        .await;
    let document = ran.json();
    assert_eq!(document["errors"], json!({ "outcome_unknown": 2 }));
    assert_eq!(ran.code, 5, "{document}");
}

#[tokio::test]
async fn the_file_is_looked_for_and_later_ones_win() {
    let server = answering(|_| None).await;
    let good = file(&json!({ "one": { "url": server.url() } }));
    let shell = Shell::new();
    std::fs::create_dir_all(shell.folder().join(".config/mcpt")).unwrap();
    shell.write(".config/mcpt/mcp.json", &good);
    assert_eq!(shell.run(&["tools", "one"]).await.code, 0);
    let elsewhere = shell.folder().join("xdg");
    let shell = shell.var("XDG_CONFIG_HOME", elsewhere.to_str().unwrap());
    assert_eq!(shell.run(&["tools", "one"]).await.code, 2);
    std::fs::create_dir_all(elsewhere.join("mcpt")).unwrap();
    shell.write("xdg/mcpt/mcp.json", &good);
    assert_eq!(shell.run(&["tools", "one"]).await.code, 0);
    // The one here goes first.
    shell.write("mcp.json", &file(&json!({ "two": { "command": "x" } })));
    assert_eq!(shell.run(&["tools", "one"]).await.code, 2);

    shell.write(
        "bad.json",
        &file(&json!({ "one": { "url": "http://127.0.0.1:9/" } })),
    );
    shell.write("good.json", &good);
    for (first, second, code) in [("bad.json", "good.json", 0), ("good.json", "bad.json", 4)] {
        let words = ["--config", first, "tools", "one", "--config", second];
        assert_eq!(shell.run(&words).await.code, code);
    }
}

#[tokio::test]
async fn a_tool_goes_by_its_own_name_where_only_one_has_it() {
    let server = answering(|_| Some(json!({ "resultType": "complete", "content": [] }))).await;
    let shell = Shell::new();
    let entry = json!({ "url": server.url(), "toolNamePrefix": "mine_" });
    shell.write("mcp.json", &file(&json!({ "one": entry })));
    for name in ["mine_echo", "echo"] {
        let ran = shell.run(&["call", "one", name, "--json"]).await;
        assert_eq!(
            (ran.code, &ran.json()["tool"]),
            (0, &json!("mine_echo")),
            "{}",
            ran.stdout
        );
    }
    let ran = shell.run(&["call", "one", "ech", "--json"]).await;
    assert_eq!(outcome(&ran), ("unknown_tool".to_owned(), 2));
    assert!(ran.stdout.contains("mine_echo"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_helper_runs_again_when_its_headers_are_refused() {
    let server = EmbeddedServer::start(HOUR).await.unwrap();
    let token = server.tokens().issue("alice").access;
    let shell = Shell::new().var("TOKEN", &token);
    shell.write(
        "helper.sh",
        "echo run >> runs; if [ \"$(wc -l < runs)\" -gt 1 ]; then token=$TOKEN; else token=stale; fi\n\
         echo \"{\\\"Authorization\\\": \\\"Bearer $token\\\", \\\"X-Tenant-Id\\\": \\\"acme\\\"}\"",
    );
    let entry = json!({ "url": server.url(), "headersHelper": "sh helper.sh" });
    shell.write("mcp.json", &file(&json!({ "one": entry })));
    let ran = shell.run(&["call", "one", "whoami"]).await;
    assert_eq!(
        (ran.stdout.as_str(), ran.code),
        ("alice of acme\n", 0),
        "{}",
        ran.stderr
    );
    let runs = std::fs::read_to_string(shell.folder().join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 2);
}

#[tokio::test]
async fn a_header_may_come_from_a_command() {
    let server = EmbeddedServer::start(HOUR).await.unwrap();
    let shell = Shell::new().var("TOKEN", &server.tokens().issue("alice").access);
    let command = json!({ "command": ["sh", "-c", "echo \"Bearer $TOKEN\""] });
    let entry = json!({ "url": server.url(), "headers": {
        "Authorization": command, "X-Tenant-Id": { "env": "TENANT", "default": "acme" } } });
    shell.write("mcp.json", &file(&json!({ "one": entry })));
    let ran = shell.run(&["call", "one", "whoami"]).await;
    assert_eq!(
        (ran.stdout.as_str(), ran.code),
        ("alice of acme\n", 0),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn times_and_versions_of_an_entry_hold() {
    let server = EmbeddedServer::start_with_sessions(HOUR).await.unwrap();
    let shell = Shell::new().var("TOKEN", &server.tokens().issue("alice").access);
    let headers = json!({ "Authorization": "Bearer ${TOKEN}", "X-Tenant-Id": "acme" });
    shell.write(
        "mcp.json",
        &file(&json!({
            "old": { "url": server.url(), "headers": headers, "protocolVersion": "2025-11-25" },
            "older": { "url": server.url(), "headers": headers, "protocolVersion": "2025-06-18" },
            "hasty": { "url": server.url(), "headers": headers, "toolTimeout": "200ms" },
            "silent": { "command": "sh", "args": ["-c", "while read -r line; do :; done"],
                "startupTimeout": "300ms" },
        })),
    );
    let ran = shell.run(&["call", "old", "whoami", "--json"]).await;
    assert_eq!(
        ran.json()["protocol_version"],
        "2025-11-25",
        "{}",
        ran.stdout
    );
    let ran = shell.run(&["call", "older", "whoami", "--json"]).await;
    assert_eq!(outcome(&ran), ("protocol".to_owned(), 4), "{}", ran.stdout);
    let slow = ["--args", r#"{"milliseconds":60000}"#];
    let words = [&["call", "hasty", "slow", "--json"], &slow[..]].concat();
    let ran = shell.run(&words).await;
    assert_eq!(outcome(&ran), ("timeout".to_owned(), 4), "{}", ran.stdout);
    let ran = shell.run(&["tools", "silent", "--json"]).await;
    assert_eq!(outcome(&ran), ("timeout".to_owned(), 4), "{}", ran.stdout);
}

#[tokio::test]
async fn a_variable_of_a_loader_is_set_only_where_the_entry_allows_it() {
    let child = child_command();
    let shell = Shell::new();
    let mut entry = json!({ "command": child[0], "args": child[1..],
        "env": { "NODE_OPTIONS": "--max-old-space-size=100" } });
    shell.write("mcp.json", &file(&json!({ "one": entry })));
    let ran = shell.run(&["call", "one", "environment", "--json"]).await;
    assert_eq!(outcome(&ran), ("config".to_owned(), 2));
    entry["allowUnsafeEnv"] = json!(["NODE_OPTIONS"]);
    shell.write("mcp.json", &file(&json!({ "one": entry })));
    let ran = shell.run(&["call", "one", "environment"]).await;
    assert!(
        ran.stdout.contains("NODE_OPTIONS"),
        "{}\n{}",
        ran.stdout,
        ran.stderr
    );
}

#[tokio::test]
async fn an_authorization_server_that_hangs_takes_the_calls_time() {
    let hanging = FaultServer::start(|_, mut wire: Wire| async move {
        wire.closed().await;
        None
    })
    .await;
    let server = AuthServer::start().await;
    let issuer = hanging.url().replace("/mcp", "");
    server.resource_metadata(json!({ "authorization_servers": [issuer] }));
    let auth = json!({ "type": "oauth", "grant": "client_credentials", "client_id": "known",
        "client_secret": "${SECRET}" });
    let shell = Shell::new().var("SECRET", "test-secret");
    let entry = json!({ "url": server.url(), "auth": auth });
    shell.write("mcp.json", &file(&json!({ "one": entry })));
    let words = ["call", "one", "echo", "--json", "--timeout", "500ms"];
    let ran = shell.run(&words).await;
    assert_eq!(outcome(&ran), ("timeout".to_owned(), 4), "{}", ran.stdout);
    assert!(ran.json()["duration_ms"].as_f64().unwrap() < 30_000.0);
}

#[tokio::test]
async fn the_hosts_of_a_file_hold_for_the_authorization_server_too() {
    let server = AuthServer::start().await;
    server.reply(
        "/.well-known/oauth-authorization-server",
        Reply::json(503, &json!({})),
    );
    let away = AuthServer::start().await;
    server.resource_metadata(json!({ "authorization_servers": [away.issuer()] }));
    let auth = json!({ "type": "oauth", "grant": "client_credentials", "client_id": "known",
        "client_secret": "${SECRET}" });
    let shell = Shell::new().var("SECRET", "test-secret");
    let host = server.url().replace("http://", "");
    let host = host.split('/').next().unwrap();
    shell.write(
        "mcp.json",
        &json!({ "allowedHosts": [host],
            "mcpServers": { "one": { "url": server.url(), "auth": auth } } })
        .to_string(),
    );
    let ran = shell.run(&["call", "one", "echo", "--json"]).await;
    assert_eq!(ran.code, 4, "{}", ran.stdout);
    assert!(
        ran.stdout.contains("not one of the allowed hosts"),
        "{}",
        ran.stdout
    );
    assert!(away.seen().is_empty(), "nothing was sent there");
}

#[tokio::test]
async fn what_vs_code_asks_for_is_told() {
    let shell = Shell::new();
    shell.write(
        "mcp.json",
        r#"{"inputs": [], "servers": {"one": {"type": "http", "url": "http://127.0.0.1:9/",
            "headers": {"Authorization": "Bearer ${input:token}"}}}}"#,
    );
    let ran = shell.run(&["tools", "one", "--json"]).await;
    assert_eq!(outcome(&ran), ("config".to_owned(), 2));
    assert!(
        ran.stdout
            .contains("mcp.json:2: server `one`, field `headers.Authorization`")
    );
    assert!(
        ran.stdout.contains("a question that VS Code asks"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr.contains("field `inputs`: VS Code asks"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn words_that_look_like_options_are_what_they_stand_for() {
    let shell = Shell::new();
    let program = [
        "--stdio",
        "tools",
        "--json",
        "--",
        "sh",
        "-c",
        "echo \"$@\" >&2",
        "--json",
        "-x",
    ];
    let ran = shell.run(&program).await;
    assert_eq!(outcome(&ran), ("server_exited".to_owned(), 4));
    assert!(
        ran.stdout.contains("-x"),
        "the child's words are its own: {}",
        ran.stdout
    );
    for words in [
        &["--", "tools"][..],
        &["tools", "--", "x"],
        &["--config"],
        &["--repeat", "call"],
    ] {
        let ran = shell.run(words).await;
        assert_eq!((ran.stdout.as_str(), ran.code), ("", 2), "{words:?}");
    }
}
