//! Entries of the file that are wrong, or not wise.

use serde_json::json;

use super::{embedded, examine, failed, server, verdict};
use crate::command::{Shell, child_command};

#[tokio::test]
async fn entries_that_are_wrong() {
    let url = "http://127.0.0.1:9/mcp";
    for (entry, advice) in [
        (
            json!({ "url": url, "headers": { "X-A": "${UNSET_ONE}" } }),
            "set the variable",
        ),
        (
            json!({ "command": "sh", "envFrom": ["UNSET_TWO"] }),
            "set the variable",
        ),
        (
            json!({ "url": url, "headers": { "Host": "test-value" } }),
            "the protocol sets it by itself",
        ),
        (json!({ "comand": "x" }), "has neither `url` nor `command`"),
        (
            json!({ "command": "sh", "cwd": "no/such/folder" }),
            "no/such/folder",
        ),
        (
            json!({ "command": "sh", "env": { "LD_PRELOAD": "x" } }),
            "LD_PRELOAD",
        ),
        (
            json!({ "url": url, "auth": { "type": "oauth", "grant": "jwt_bearer" } }),
            "auth.assertion",
        ),
    ] {
        let ran = examine(&Shell::new(), &entry).await;
        failed(&ran, "configuration", "config", 2, advice);
    }
    let ran = Shell::new().run(&["doctor", "--json"]).await;
    assert_eq!((ran.kind().as_str(), ran.code), ("config", 2));
}

#[tokio::test]
async fn what_works_and_is_not_wise() {
    let server = embedded().await;
    let token = server.tokens().issue("alice").access;
    let entry = json!({ "url": server.url(), "headers": { "X-Tenant-Id": "acme" },
        "auth": { "type": "bearer", "token": token } });
    let ran = examine(&Shell::new(), &entry).await;
    let document = ran.json();
    assert_eq!(
        (verdict(&ran, "configuration").as_str(), ran.code),
        ("warning", 0)
    );
    let advice = document["servers"][0]["advice"].as_str().unwrap();
    assert!(
        advice.contains("field `auth.token`") && advice.contains("write a reference"),
        "{advice}"
    );
    ran.shows_nothing_of(&token);

    let child = child_command();
    for (field, entry) in [
        (
            "env.API_KEY",
            json!({ "command": child[0], "args": child[1..],
                "env": { "API_KEY": "test-key-12345", "LEVEL": "debug-everything" } }),
        ),
        (
            "args",
            json!({ "command": "sh", "args":
                ["-c", "exec \"$0\" --exact command::child --ignored --nocapture", child[0],
                "--api-key=test-key-12345"] }),
        ),
        (
            "comment",
            json!({ "command": child[0], "args": child[1..], "comment": 1 }),
        ),
    ] {
        let ran = examine(&Shell::new(), &entry).await;
        assert_eq!(verdict(&ran, "configuration"), "warning", "{}", ran.stdout);
        assert!(
            ran.stdout.contains(&format!("field `{field}`")),
            "{}",
            ran.stdout
        );
        assert!(!ran.stdout.contains("LEVEL"), "{}", ran.stdout);
        assert_eq!(ran.code, 0, "{}", ran.stdout);
        ran.shows_nothing_of("test-key-12345");
    }
}

#[tokio::test]
async fn several_servers_and_the_one_on_the_command_line() {
    let server = server(|_| None).await;
    let shell = Shell::new();
    let file = json!({ "mcpServers": {
        "fine": { "url": server.url() },
        "wrong": { "url": "nonsense" },
        "off": { "command": "x", "disabled": true },
    } });
    shell.write("mcp.json", &file.to_string());
    let ran = shell.run(&["doctor", "--json"]).await;
    let document = ran.json();
    let servers = document["servers"].as_array().unwrap();
    let seen: Vec<_> = servers
        .iter()
        .map(|it| (it["name"].as_str().unwrap(), it["status"].as_str().unwrap()))
        .collect();
    assert_eq!(seen, [("fine", "ok"), ("wrong", "failed")]);
    assert_eq!(ran.code, 2);
    let ran = shell.run(&["doctor", "--url", &server.url()]).await;
    assert!(ran.stdout.starts_with("adhoc  ok"), "{}", ran.stdout);
    let ran = shell.run(&["doctor", "gone", "--json"]).await;
    failed(
        &ran,
        "configuration",
        "unknown_server",
        2,
        "name a server of the file",
    );
}
