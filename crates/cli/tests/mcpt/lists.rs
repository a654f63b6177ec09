//! `mcpt tools`.

use serde_json::json;

use crate::command::{Shell, child_command};

#[tokio::test]
async fn one_server_by_its_url() {
    let (server, shell) = Shell::with_server(&["alice"]).await;
    let ran = shell
        .run(&[
            "tools",
            "--json",
            "--url",
            server.url(),
            "--bearer-env",
            "TOKEN_alice",
            "--header",
            "X-Tenant-Id: acme",
        ])
        .await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stderr, "");
    let document = ran.json();
    let one = &document["servers"][0];
    assert_eq!(one["name"], "adhoc");
    assert_eq!(one["status"], "ready");
    assert_eq!(one["transport"], "streamable-http");
    assert_eq!(one["protocol_version"], "2026-07-28");
    assert_eq!(one["server"]["name"], "embedded");
    assert_eq!(one["skipped"], json!([]));
    let names: Vec<_> = one["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["remote_name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["whoami", "add", "slow", "read-notes"]);
    let whoami = &one["tools"][0];
    assert_eq!(whoami["param_model"], "MCP_whoami_Input");
    assert_eq!(whoami["title"], "Who am I");
    assert_eq!(whoami["output_schema"], json!(null));
    assert_eq!(whoami["annotations"], json!({ "readOnlyHint": true }));
    assert_eq!(whoami["fingerprint"].as_str().unwrap().len(), 32);
    assert!(whoami.get("inputSchema").is_none());
    let add = &one["tools"][1];
    assert_eq!(add["input_schema"]["required"], json!(["a", "b"]));
    for seen in server.seen() {
        assert_eq!(seen.headers["x-tenant-id"], "acme", "{}", seen.method);
    }
}

#[tokio::test]
async fn people_get_a_table() {
    let (server, shell) = Shell::with_server(&["bob"]).await;
    let ran = shell
        .run(&[
            "--url",
            server.url(),
            "--bearer-env",
            "TOKEN_bob",
            "--header",
            "X-Tenant-Id: acme",
            "tools",
        ])
        .await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout
            .starts_with("adhoc  streamable-http 2026-07-28, embedded")
    );
    assert!(ran.stdout.contains("book_room"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("Books a room for Bob."),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains('\u{1b}'));
}

#[tokio::test]
async fn all_servers_of_the_file_in_its_order() {
    let (server, shell) = Shell::with_server(&["alice"]).await;
    let child = child_command();
    let file = json!({ "mcpServers": {
        "remote": { "url": server.url(), "headers": {
            "Authorization": "Bearer ${TOKEN_alice}", "X-Tenant-Id": "${TENANT:-acme}" },
            "enabledTools": ["whoami"], "toolNamePrefix": "r_" },
        "gone": { "url": "http://127.0.0.1:9/mcp", "startupTimeout": "5s" },
        "off": { "command": "surely-not-a-program", "disabled": true },
        "child": { "command": child[0], "args": child[1..] , "disabledTools": ["slow"] },
        "wrong": { "comand": "x" },
    } });
    // `serde_json` sorts keys here; the file does not.
    let order = ["remote", "gone", "off", "child", "wrong"];
    let entries: Vec<_> = order
        .iter()
        .map(|name| format!("{}: {}", json!(name), file["mcpServers"][name]))
        .collect();
    shell.write(
        "mcp.json",
        &format!("{{\"mcpServers\": {{{}}}}}", entries.join(",\n")),
    );

    let ran = shell.run(&["tools", "--json"]).await;
    let document = ran.json();
    let seen: Vec<_> = document["servers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|server| {
            let kind = server["error"]["kind"].as_str().unwrap_or_default();
            (
                server["name"].as_str().unwrap(),
                server["status"].as_str().unwrap(),
                kind,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("remote", "ready", ""),
            ("gone", "failed", "connect"),
            ("child", "ready", ""),
            ("wrong", "failed", "config"),
        ]
    );
    assert_eq!(ran.code, 4, "the code of the first failure");
    assert_eq!(document["servers"][0]["tools"][0]["name"], "r_whoami");
    assert_eq!(document["servers"][0]["tools"][1], json!(null));
    let child = &document["servers"][2];
    assert_eq!(child["transport"], "stdio");
    assert!(
        child["tools"]
            .as_array()
            .unwrap()
            .iter()
            .all(|tool| tool["name"] != "slow")
    );
    assert!(
        ran.stderr.contains(
            "warning: mcp.json:5: server `wrong`, field `comand`: unknown \
        field; did you mean `command`?"
        ),
        "{}",
        ran.stderr
    );

    let ran = shell.run(&["tools", "child", "remote", "--json"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.json()["servers"][0]["name"], "child");
    assert_eq!(ran.stderr, "", "nobody asked about the others");

    let ran = shell.run(&["tools", "off", "--json"]).await;
    assert_eq!(ran.json()["servers"][0]["name"], "off", "asked for by name");
    assert_ne!(ran.code, 0);
}

#[tokio::test]
async fn each_user_has_tokens_and_tools_of_their_own() {
    let (server, shell) = Shell::with_server(&["alice", "bob"]).await;
    shell.write(
        "servers.json",
        &json!({ "servers": { "s": { "url": server.url(), "headers": { "X-Tenant-Id": "acme" },
            "auth": { "type": "command", "command":
                ["sh", "-c", "echo \"{\\\"access_token\\\":\\\"$(printenv TOKEN_$MCPT_USER)\\\",\
                    \\\"expires_in\\\":60}\" "] } } } })
        .to_string(),
    );
    for (user, own) in [("alice", "read-notes"), ("bob", "book_room")] {
        let ran = shell
            .run(&[
                "--config",
                "servers.json",
                "--user",
                user,
                "tools",
                "--json",
            ])
            .await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let document = ran.json();
        assert_eq!(document["servers"][0]["tools"][3]["name"], own);
    }
}
