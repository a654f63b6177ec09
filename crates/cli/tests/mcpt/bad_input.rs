//! What is wrong is told by kind and exit code, and no secret comes out, however much is logged.

use serde_json::json;

use crate::command::{Ran, Shell};

const CANARY: &str = "canary-7f3a9c41d2";

/// Everything is logged, and every secret is the canary.
fn shell() -> Shell {
    Shell::new().var("RUST_LOG", "trace").var("CANARY", CANARY)
}

fn check(ran: &Ran, kind: &str, code: i32, words: &str) {
    assert_eq!(
        (ran.kind().as_str(), ran.code),
        (kind, code),
        "{}\n{}",
        ran.stdout,
        ran.stderr
    );
    assert!(
        ran.stdout.contains(words),
        "{words:?} is not in {}",
        ran.stdout
    );
    assert_eq!(
        ran.stdout.lines().count(),
        1,
        "one document: {}",
        ran.stdout
    );
    ran.shows_nothing_of(CANARY);
}

#[tokio::test]
async fn a_malformed_url() {
    for url in [
        "not-a-url",
        "ftp://h/",
        "http://",
        &format!("http://u:{CANARY}@h/"),
    ] {
        let ran = shell().run(&["call", "t", "--json", "--url", url]).await;
        check(&ran, "config", 2, "field `--url`");
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_sent() {
    let header = format!("X-Key: {CANARY}\r\nX-Evil: 1");
    let url = "http://127.0.0.1:9/mcp";
    let ran = shell()
        .run(&["tools", "--json", "--url", url, "--header", &header])
        .await;
    check(&ran, "config", 2, "x-key");
    let ran = shell()
        .run(&["tools", "--json", "--url", url, "--header", "Host: x"])
        .await;
    check(&ran, "config", 2, "Host");
}

#[tokio::test]
async fn a_variable_that_is_not_set() {
    let url = "http://127.0.0.1:9/mcp";
    let ran = shell()
        .run(&["tools", "--json", "--url", url, "--bearer-env", "UNSET_ONE"])
        .await;
    check(
        &ran,
        "config",
        2,
        "field `--bearer-env`: environment variable `UNSET_ONE` is not set",
    );
    let shell = shell();
    shell.write(
        "mcp.json",
        &json!({ "mcpServers": { "one": { "url": url, "headers": { "X-A": "${UNSET_TWO}" } } } })
            .to_string(),
    );
    let ran = shell.run(&["call", "one", "t", "--json"]).await;
    let words = "server `one`, field `headers.X-A`: environment variable `UNSET_TWO` is not set";
    check(&ran, "config", 2, words);
}

#[tokio::test]
async fn a_program_that_is_not_there() {
    let ran = shell()
        .run(&[
            "tools",
            "--json",
            "--stdio",
            "--env",
            "KEY=${CANARY}",
            "--",
            "surely-not-a-program",
        ])
        .await;
    assert_eq!(ran.json()["servers"][0]["status"], "failed");
    assert!(
        ran.stdout.contains("surely-not-a-program"),
        "{}",
        ran.stdout
    );
    assert!(matches!(ran.code, 2 | 4), "{}", ran.stdout);
    ran.shows_nothing_of(CANARY);
}

#[tokio::test]
async fn a_child_that_ends_at_once() {
    let script = "echo \"bad token $KEY\" >&2; exit 3";
    let ran = shell()
        .run(&[
            "call",
            "t",
            "--json",
            "--stdio",
            "--env",
            "KEY=${CANARY}",
            "--",
            "sh",
            "-c",
            script,
        ])
        .await;
    check(&ran, "server_exited", 4, "bad token");
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    // Bound and let go: nobody listens there now.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp?key={CANARY}", listener.local_addr().unwrap());
    drop(listener);
    let ran = shell()
        .run(&[
            "call",
            "t",
            "--json",
            "--url",
            &url,
            "--bearer-env",
            "CANARY",
        ])
        .await;
    check(&ran, "connect", 4, "127.0.0.1");
}

#[tokio::test]
async fn a_wrong_token() {
    let (server, _) = Shell::with_server(&[]).await;
    let ran = shell()
        .run(&[
            "call",
            "whoami",
            "--json",
            "--url",
            server.url(),
            "--bearer-env",
            "CANARY",
        ])
        .await;
    check(&ran, "unauthorized", 3, "401");
    let ran = shell()
        .run(&["tools", "--json", "--url", server.url()])
        .await;
    assert_eq!(ran.code, 3, "{}", ran.stdout);
}

#[tokio::test]
async fn arguments_that_do_not_fit() {
    let (server, shell) = Shell::with_server(&["alice"]).await;
    let shell = shell.var("RUST_LOG", "trace");
    let call = async |tool: &str, arguments: &str| {
        let words = [
            "call",
            tool,
            "--json",
            "--args",
            arguments,
            "--url",
            server.url(),
            "--bearer-env",
            "TOKEN_alice",
            "--header",
            "X-Tenant-Id: acme",
        ];
        let ran = shell.run(&words).await;
        ran.shows_nothing_of("test-token-alice");
        ran
    };
    let canary = json!({ "a": CANARY, "b": 1 }).to_string();
    check(&call("add", &canary).await, "invalid_arguments", 2, "/a");
    check(&call("add", "{}").await, "invalid_arguments", 2, "a");
    check(
        &call("add", "[1]").await,
        "invalid_arguments",
        2,
        "not a JSON object",
    );
    check(
        &call("add", &format!("{{{CANARY}")).await,
        "invalid_arguments",
        2,
        "not JSON",
    );
    check(
        &call("add", "@no/such/file").await,
        "config",
        2,
        "no/such/file",
    );
    check(&call("ad", "{}").await, "unknown_tool", 2, "there is add");
    assert!(
        server
            .seen()
            .iter()
            .all(|request| request.method != "tools/call")
    );
}

#[tokio::test]
async fn a_server_or_a_file_that_is_not_known() {
    let shell = shell();
    let ran = shell.run(&["tools", "--json"]).await;
    check(&ran, "config", 2, "--config");
    assert!(
        ran.stderr.contains("error: there is no file"),
        "{}",
        ran.stderr
    );
    let ran = shell
        .run(&["call", "s", "t", "--json", "--config", "no.json"])
        .await;
    check(&ran, "config", 2, "no.json: the file cannot be read");
    assert_eq!(ran.json()["server"], "s");

    shell.write(
        "mcp.json",
        r#"{"mcpServers": {"github": {"url": "http://127.0.0.1:9/"}}}"#,
    );
    let ran = shell.run(&["call", "gitub", "t", "--json"]).await;
    check(&ran, "unknown_server", 2, "there is github");
    let ran = shell.run(&["tools", "gitub", "--json"]).await;
    check(&ran, "unknown_server", 2, "there is github");
    shell.write("mcp.json", "{\"mcpServers\": {\n");
    let ran = shell.run(&["tools", "--json"]).await;
    check(&ran, "config", 2, "mcp.json:2: not JSON");
}

#[tokio::test]
async fn a_command_line_that_is_wrong() {
    for words in [
        &["tools", "--json", "--no-such-option"][..],
        &["--json", "call"],
        &["call", "a", "b", "c", "--json"],
        &["call", "only-one", "--json"],
        &["tools", "--json", "--stdio"],
        &["nonsense", "--json"],
    ] {
        let ran = shell().run(words).await;
        assert_eq!(
            (ran.kind().as_str(), ran.code),
            ("config", 2),
            "{words:?}: {}",
            ran.stdout
        );
        assert!(!ran.stderr.is_empty());
    }
    let ran = shell().run(&["--help"]).await;
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("tools") && ran.stdout.contains("call"));
    let ran = shell().run(&["call", "--help"]).await;
    assert!(ran.stdout.contains("--args") && ran.stdout.contains("--url"));
}

#[tokio::test]
async fn a_token_command_that_fails_is_no_credential() {
    let url = "http://127.0.0.1:9/mcp";
    let script = format!("sh -c 'echo {CANARY}; echo {CANARY} >&2; exit 1'");
    let words = ["tools", "--json", "--url", url, "--bearer-command", &script];
    check(
        &shell().run(&words).await,
        "credential_unavailable",
        3,
        "exit status: 1",
    );
}

#[tokio::test]
async fn what_a_file_asks_for_and_cannot_be_had() {
    let shell = shell();
    let url = "http://127.0.0.1:9/mcp";
    shell.write(
        "mcp.json",
        &json!({ "mcpServers": {
            "oauth": { "url": url, "auth": { "type": "oauth", "grant": "jwt_bearer",
                "client_secret": CANARY } },
            "twice": { "url": url, "headers": { "Authorization": CANARY },
                "auth": { "type": "bearer", "token": CANARY } },
            "file": { "url": url, "headers": { "X-A": { "file": "no/such/secret" } } },
            "from": { "command": "x", "envFrom": ["UNSET_THREE"] },
            "loader": { "command": "x", "env": { "LD_PRELOAD": CANARY } },
            "prefix": { "command": "x", "toolNamePrefix": "a b" },
            "folder": { "command": "sh", "cwd": "no/such/folder" },
        } })
        .to_string(),
    );
    for (server, words) in [
        (
            "oauth",
            "server `oauth`, field `auth.assertion`: is missing",
        ),
        ("twice", "server `twice`, field `auth.token`"),
        (
            "file",
            "server `file`, field `headers.X-A`: file `no/such/secret`",
        ),
        (
            "from",
            "server `from`, field `envFrom`: environment variable `UNSET_THREE` is not set",
        ),
        ("loader", "`LD_PRELOAD`"),
    ] {
        let ran = shell.run(&["tools", server, "--json"]).await;
        check(&ran, "config", 2, words);
    }
    let ran = shell.run(&["tools", "folder", "--json"]).await;
    assert!(ran.stdout.contains("no/such/folder"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_secret_file_is_found_beside_the_configuration() {
    let (server, shell) = Shell::with_server(&[]).await;
    let token = server.tokens().issue("alice").access;
    std::fs::create_dir(shell.folder().join("etc")).unwrap();
    shell.write("etc/token", &format!("{token}\n"));
    shell.write(
        "etc/mcp.json",
        &json!({ "mcpServers": { "one": { "url": server.url(), "headers": { "X-Tenant-Id": "t" },
            "auth": { "type": "bearer", "token": { "file": "token" } } } } })
        .to_string(),
    );
    let ran = shell
        .run(&["call", "one", "whoami", "--config", "etc/mcp.json"])
        .await;
    assert_eq!(ran.stdout, "alice of t\n", "{}", ran.stderr);
}
