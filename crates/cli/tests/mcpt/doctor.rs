//! `mcpt doctor` names the true cause.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp_testbed::embedded::EmbeddedServer;
use mcp_testbed::fault::{FaultServer, Request, Wire};
use mcp_testbed::oauth::{AuthServer, Reply};
use serde_json::{Value, json};

use crate::command::{Ran, Shell, child_command};
use crate::consent::{as_it_is, log_in};
use crate::tls::TlsServer;

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

fn jwt(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.test-token-signature",
        part(&json!({ "alg": "none" })),
        part(claims)
    )
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

#[tokio::test]
async fn tokens_that_are_not_taken() {
    let server = embedded().await;
    let far = 4_000_000_000_u64;
    for (token, advice) in [
        ("test-token-wrong".to_owned(), "does not know this token"),
        (
            jwt(&json!({ "exp": 1_000_000_000 })),
            "the token expired at 2001-09-09",
        ),
        (
            jwt(&json!({ "exp": far, "aud": "https://api.test/" })),
            "wrong audience (https://api.test/)",
        ),
        (jwt(&json!({ "exp": far, "nbf": far - 1 })), "not valid yet"),
        (
            jwt(&json!({ "exp": far, "iss": "https://as.test" })),
            "of https://as.test",
        ),
    ] {
        let (shell, entry) = with_token(server.url(), &token);
        let ran = examine(&shell, &entry).await;
        failed(&ran, "authentication", "unauthorized", 3, advice);
        let sent = "sent x-tenant-id, authorization (";
        assert!(ran.stdout.contains(sent), "{}", ran.stdout);
        assert!(ran.stdout.contains("invalid_token"), "{}", ran.stdout);
        ran.shows_nothing_of(&token);
    }
    let ran = examine(&Shell::new(), &json!({ "url": server.url() })).await;
    let advice = "none are configured";
    failed(&ran, "authentication", "unauthorized", 3, advice);
    let token = server.tokens().issue("alice").access;
    let auth = json!({ "type": "bearer", "token": "${TOKEN}" });
    let entry = json!({ "url": server.url(), "auth": auth });
    let ran = examine(&Shell::new().var("TOKEN", &token), &entry).await;
    failed(
        &ran,
        "authentication",
        "forbidden",
        3,
        "X-Tenant-Id is missing",
    );
}

#[tokio::test]
async fn what_the_challenge_says_about_a_token() {
    for (challenge, advice) in [
        (
            r#"Bearer error="invalid_token", error_description="The access token expired""#,
            "has expired: get a new one",
        ),
        (
            r#"Bearer error="invalid_token", error_description="Invalid audience""#,
            "wrong audience: ask its issuer for one for http://127.0.0.1",
        ),
    ] {
        let server = server(move |_| Some((401, "WWW-Authenticate", challenge.to_owned()))).await;
        let (shell, entry) = with_token(&server.url(), "test-token");
        let ran = examine(&shell, &entry).await;
        failed(&ran, "authentication", "unauthorized", 3, advice);
    }
}

#[tokio::test]
async fn a_scope_that_is_missing() {
    let challenge = r#"Bearer error="insufficient_scope", scope="tools:read tools:write""#;
    let server = server(move |_| Some((403, "WWW-Authenticate", challenge.to_owned()))).await;
    let token = jwt(&json!({ "exp": 4_000_000_000_u64, "scope": "tools:read" }));
    let (shell, entry) = with_token(&server.url(), &token);
    let ran = examine(&shell, &entry).await;
    let advice = "lacks scopes: get one with tools:write";
    failed(&ran, "scopes", "insufficient_scope", 3, advice);
    assert_eq!(verdict(&ran, "authentication"), "ok");
}

#[tokio::test]
async fn certificates_that_are_not_believed() {
    let private = TlsServer::start("localhost", |_| {}).await;
    let other = TlsServer::start("other.test", |_| {}).await;
    let expired = TlsServer::expired().await;
    for (server, trusted, advice) in [
        (&private, false, "nobody known vouches"),
        (&other, true, "another host name than `localhost`"),
        (&expired, true, "has expired"),
    ] {
        let mut shell = Shell::new();
        if trusted {
            shell.write("ca.pem", &server.authority);
            let file = shell.folder().join("ca.pem");
            shell = shell.var("SSL_CERT_FILE", file.to_str().unwrap());
        }
        let url = format!("https://localhost:{}/mcp", server.port);
        let ran = examine(&shell, &json!({ "url": url })).await;
        failed(&ran, "tls", "tls", 4, advice);
        assert_eq!(verdict(&ran, "tcp"), "ok");
    }
    // Believed, it is found out what is behind it, and until when.
    let shell = Shell::new();
    shell.write("ca.pem", &private.authority);
    let file = shell.folder().join("ca.pem");
    let shell = shell.var("SSL_CERT_FILE", file.to_str().unwrap());
    let url = format!("https://localhost:{}/mcp", private.port);
    let ran = examine(&shell, &json!({ "url": url, "type": "http" })).await;
    failed(&ran, "protocol", "http_status", 4, "the path `/mcp`");
    assert_eq!(verdict(&ran, "tls"), "ok");
    assert!(ran.stdout.contains("TLSv1_3"), "{}", ran.stdout);
    assert!(ran.stdout.contains("until 4096-01-01"), "{}", ran.stdout);
}

#[tokio::test]
async fn one_scheme_where_the_other_is_spoken() {
    let secure = TlsServer::start("localhost", |_| {}).await;
    let url = format!("http://localhost:{}/mcp", secure.port);
    let ran = examine(&Shell::new(), &json!({ "url": url })).await;
    let document = ran.json();
    assert_eq!(verdict(&ran, "protocol"), "failed", "{document}");
    assert_eq!(ran.code, 4);
    let advice = document["servers"][0]["advice"].as_str().unwrap();
    assert!(advice.contains("write `https://`"), "{document}");

    let plain = embedded().await;
    let url = plain.url().replace("http://", "https://");
    let ran = examine(&Shell::new(), &json!({ "url": url })).await;
    failed(&ran, "tls", "tls", 4, "write `http://`");
    // One that waits for the rest of what it takes for a request.
    let plain = server(|_| None).await;
    let url = plain.url().replace("http://", "https://");
    let shell = Shell::new();
    let ran = shell
        .run(&["doctor", "--json", "--timeout", "500ms", "--url", &url])
        .await;
    failed(&ran, "tls", "timeout", 4, "write `http://`");

    let entry = json!({ "url": "http://mcp.example.com/mcp" });
    let ran = examine(&Shell::new(), &entry).await;
    failed(
        &ran,
        "configuration",
        "address_refused",
        4,
        "write `https://`",
    );
}

#[tokio::test]
async fn nobody_is_there() {
    let url = "https://surely-not-a-host.invalid/mcp";
    let ran = examine(&Shell::new(), &json!({ "url": url })).await;
    let document = ran.json();
    assert_eq!(verdict(&ran, "dns"), "failed", "{document}");
    assert_eq!(ran.code, 4);
    let advice = document["servers"][0]["advice"].as_str().unwrap();
    assert!(advice.contains("`surely-not-a-host.invalid`"), "{advice}");

    // Bound and let go: nobody listens there now.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    drop(listener);
    let ran = examine(&Shell::new(), &json!({ "url": url })).await;
    failed(&ran, "tcp", "connect", 4, "nothing listens at 127.0.0.1");
}

#[tokio::test]
async fn something_else_is_there() {
    let nothing = server(|_| Some((404, "X", "y".to_owned()))).await;
    let ran = examine(&Shell::new(), &json!({ "url": nothing.url() })).await;
    failed(&ran, "protocol", "http_status", 4, "at the path `/mcp`");

    let failing = server(|_| Some((500, "X", "y".to_owned()))).await;
    let ran = examine(&Shell::new(), &json!({ "url": failing.url() })).await;
    failed(&ran, "protocol", "http_status", 4, "look at its logs");

    let page = FaultServer::start(|_, mut wire: Wire| async move {
        let headers = [("Content-Type", "text/html")];
        wire.respond(200, &headers, "<html>").await.then_some(wire)
    })
    .await;
    let ran = examine(&Shell::new(), &json!({ "url": page.url() })).await;
    failed(
        &ran,
        "protocol",
        "protocol",
        4,
        "no MCP server: is the URL whole?",
    );

    let elsewhere = server(|_| Some((307, "Location", "https://evil.test/mcp".to_owned()))).await;
    let ran = examine(&Shell::new(), &json!({ "url": elsewhere.url() })).await;
    failed(&ran, "protocol", "redirect_refused", 4, "evil.test");

    let silent = FaultServer::start(|_, mut wire: Wire| async move {
        wire.closed().await;
        None
    })
    .await;
    let file = json!({ "mcpServers": { "one": { "url": silent.url() } } });
    let shell = Shell::new();
    shell.write("mcp.json", &file.to_string());
    let ran = shell.run(&["doctor", "--json", "--timeout", "500ms"]).await;
    failed(&ran, "protocol", "timeout", 4, "does not answer");
}

#[tokio::test]
async fn a_server_that_speaks_only_the_old_way() {
    let old = FaultServer::start(|request: Request, mut wire: Wire| async move {
        if request.method == "GET" {
            wire.events("").await;
            wire.raw("event: endpoint\ndata: /message\n\n").await;
            wire.closed().await;
            return None;
        }
        wire.respond(405, &[], "").await.then_some(wire)
    })
    .await;
    let entry = json!({ "type": "http", "url": old.url() });
    let ran = examine(&Shell::new(), &entry).await;
    failed(&ran, "protocol", "http_status", 4, "\"type\": \"sse\"");
}

#[tokio::test]
async fn children_that_do_not_come_up() {
    let sh = |script: &str| json!({ "command": "sh", "args": ["-c", script] });
    let missing = json!({ "command": "surely-not-a-program" });
    let ran = examine(&Shell::new(), &missing).await;
    failed(
        &ran,
        "start",
        "connect",
        4,
        "`surely-not-a-program` is not installed",
    );

    let script = "echo 'Error: API_TOKEN_FOR_TEST is required' >&2; exit 1";
    let ran = examine(&Shell::new(), &sh(script)).await;
    let advice = "`API_TOKEN_FOR_TEST`, which it is not given: set it in `env`";
    failed(&ran, "start", "server_exited", 4, advice);
    let shell = Shell::new().var("API_TOKEN_FOR_TEST", "test-token");
    let ran = examine(&shell, &sh(script)).await;
    let advice = "which is set here and not passed on: name it in `envFrom`";
    failed(&ran, "start", "server_exited", 4, advice);

    let ran = examine(&Shell::new(), &sh("exit 3")).await;
    failed(&ran, "start", "server_exited", 4, "without a word");

    for (script, advice) in [
        ("while read -r line; do :; done", "runs and says nothing"),
        (
            "echo waiting for a license >&2; while read -r line; do :; done",
            "waiting for a license",
        ),
    ] {
        let shell = Shell::new();
        let file = json!({ "mcpServers": { "one": sh(script) } });
        shell.write("mcp.json", &file.to_string());
        let ran = shell.run(&["doctor", "--json", "--timeout", "1s"]).await;
        failed(&ran, "protocol", "timeout", 4, advice);
    }
}

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
async fn logins() {
    let server = AuthServer::start().await;
    let shell = crate::consent::shell(&server, &json!({}));
    let examine = async || shell.run(&["doctor", "one", "--json"]).await;
    let ran = examine().await;
    let advice = "log in: `mcpt login one`";
    failed(&ran, "authentication", "needs_authorization", 3, advice);

    log_in(&shell, &["one"], as_it_is).await;
    let ran = examine().await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(verdict(&ran, "authentication"), "ok");
    assert!(
        ran.stdout
            .contains(&format!("the login is of {}", server.issuer()))
    );
    // What the resource lists and was not granted.
    assert_eq!(verdict(&ran, "scopes"), "warning", "{}", ran.stdout);
    assert!(
        ran.stdout.contains("not granted: tools:list"),
        "{}",
        ran.stdout
    );
    ran.shows_nothing_of("test-access");

    server.end_access();
    server.end_refresh();
    let metadata = "/.well-known/oauth-authorization-server";
    server.reply(metadata, Reply::json(503, &json!({})));
    let ran = examine().await;
    let advice = "the authorization server cannot be reached";
    failed(&ran, "authentication", "credential_unavailable", 3, advice);
    server.relent(metadata);

    let away = json!({ "authorization_servers": ["http://127.0.0.1:9"] });
    server.resource_metadata(away);
    let ran = examine().await;
    failed(&ran, "authentication", "credential_unavailable", 3, advice);
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

#[tokio::test]
async fn packagers_get_completions_and_a_manual() {
    let shell = Shell::new();
    for name in ["bash", "fish", "zsh"] {
        let ran = shell.run(&["completions", name]).await;
        assert!(ran.code == 0 && ran.stdout.contains("doctor"), "{name}");
    }
    let ran = shell.run(&["man"]).await;
    assert!(
        ran.code == 0 && ran.stdout.contains(".TH mcpt"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("headless"));
}
