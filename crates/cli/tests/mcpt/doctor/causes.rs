//! Causes that are seen only when somebody looks behind the first answer.

use std::time::{Duration, UNIX_EPOCH};

use mcp_auth::time::{Clock as _, SystemClock};
use mcp_testbed::fault::{FaultServer, Request, Wire};
use mcp_testbed::oauth::{AuthServer, Reply};
use rcgen::date_time_ymd;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{examine, failed, server, verdict, with_token};
use crate::command::{Ran, Shell, child_command};
use crate::tls::TlsServer;

/// What was advised, where nothing failed.
fn warned(ran: &Ran, step: &str, advice: &str) {
    let document = ran.json();
    assert_eq!(verdict(ran, step), "warning", "{document}");
    let given = document["servers"][0]["advice"].as_str().unwrap();
    assert!(given.contains(advice), "{document}");
    assert_eq!(ran.code, 0);
}

#[tokio::test]
async fn calls_that_are_refused_where_the_list_was_open() {
    for (status, challenge, step, kind, advice) in [
        (
            401,
            "Bearer",
            "authentication",
            "unauthorized",
            "the list of tools is open, calls are not: the server wants credentials",
        ),
        (
            403,
            r#"Bearer error="insufficient_scope", scope="tools:write""#,
            "scopes",
            "insufficient_scope",
            "calls are not: the token lacks scopes: get one with tools:write",
        ),
    ] {
        let server = server(move |request| {
            let refused = request.rpc_method() == "tools/call";
            refused.then(|| (status, "WWW-Authenticate", challenge.to_owned()))
        })
        .await;
        let (shell, with_token) = with_token(&server.url(), "test-token");
        let without = json!({ "url": server.url() });
        let entry = if status == 401 { without } else { with_token };
        let ran = examine(&shell, &entry).await;
        failed(&ran, step, kind, 3, advice);
        assert_eq!(verdict(&ran, "protocol"), "ok");
        // Nothing that exists was called.
        let asked = server.seen();
        let mut calls = asked.iter().filter(|it| it.rpc_method() == "tools/call");
        assert!(calls.all(|call| call.json()["params"]["name"] != "echo"));
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_had() {
    let server = server(|_| None).await;
    let auth = json!({ "type": "command", "command": ["sh", "-c", "exit 3"] });
    let ran = examine(&Shell::new(), &json!({ "url": server.url(), "auth": auth })).await;
    let advice = "the token's source failed";
    failed(&ran, "authentication", "credential_unavailable", 3, advice);
}

#[tokio::test]
async fn an_authorization_server_that_knows_no_such_client() {
    let server = AuthServer::start().await;
    server.reply("/token", Reply::error("invalid_client", "who?"));
    let auth = json!({ "type": "oauth", "grant": "client_credentials", "client_id": "known",
        "client_secret": "${SECRET}" });
    let shell = Shell::new().var("SECRET", "test-token-secret");
    let ran = examine(&shell, &json!({ "url": server.url(), "auth": auth })).await;
    let advice = "the authorization server refuses the client";
    failed(&ran, "authentication", "credential_unavailable", 3, advice);
    assert!(ran.stdout.contains("invalid_client"), "{}", ran.stdout);
}

#[tokio::test]
async fn metadata_that_speaks_for_somebody_else() {
    let server = AuthServer::start().await;
    server.resource_metadata(json!({ "resource": "https://evil.test/mcp" }));
    let entry = json!({ "url": server.url(), "auth": { "type": "oauth" } });
    let ran = examine(&Shell::new(), &entry).await;
    let advice = "what leads to the authorization server cannot be trusted";
    failed(&ran, "authentication", "protocol", 4, advice);
}

#[tokio::test]
async fn certificates_of_another_time() {
    let since = SystemClock.wall().duration_since(UNIX_EPOCH).unwrap();
    let now = date_time_ymd(1970, 1, 1) + since;
    let day = Duration::from_secs(24 * 3600);
    let early = TlsServer::start("localhost", |params| {
        params.not_before = now + 30 * day;
        params.not_after = now + 60 * day;
    })
    .await;
    let late = TlsServer::start("localhost", |params| {
        params.not_before = now - 30 * day;
        params.not_after = now + 3 * day + day / 2;
    })
    .await;
    let examine = async |server: &TlsServer| {
        let shell = Shell::new();
        shell.write("ca.pem", &server.authority);
        let file = shell.folder().join("ca.pem");
        let shell = shell.var("SSL_CERT_FILE", file.to_str().unwrap());
        let url = format!("https://localhost:{}/mcp", server.port);
        examine(&shell, &json!({ "url": url, "type": "http" })).await
    };
    let ran = examine(&early).await;
    failed(
        &ran,
        "tls",
        "tls",
        4,
        "not valid yet: is this machine's clock right?",
    );
    let ran = examine(&late).await;
    assert_eq!(verdict(&ran, "tls"), "warning", "{}", ran.stdout);
}

#[tokio::test]
async fn a_server_that_wants_rest() {
    let server = server(|_| Some((429, "Retry-After", "60".to_owned()))).await;
    let ran = examine(&Shell::new(), &json!({ "url": server.url() })).await;
    failed(&ran, "protocol", "http_status", 4, "left alone for a while");
}

#[tokio::test]
async fn a_port_at_which_something_else_speaks() {
    for (greeting, advice) in [
        (
            &b""[..],
            "takes connections and closes them: is it an HTTP server?",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "127.0.0.1"),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _gone = stream.write_all(greeting).await;
            }
        });
        let ran = examine(&Shell::new(), &json!({ "url": url })).await;
        let document = ran.json();
        assert_eq!(
            (verdict(&ran, "protocol").as_str(), ran.code),
            ("failed", 4)
        );
        let given = document["servers"][0]["advice"].as_str().unwrap();
        assert!(given.contains(advice), "{document}");
    }
}

#[tokio::test]
async fn versions_that_do_not_meet() {
    let unknown = FaultServer::start(|request: Request, mut wire: Wire| async move {
        let written = match request.rpc_method().as_str() {
            "initialize" => {
                let result = json!({ "protocolVersion": "1999-01-01", "capabilities": {},
                    "serverInfo": { "name": "old", "version": "1" } });
                wire.json(&request.result(&result)).await
            }
            _ => wire.session(&request, "s").await,
        };
        written.then_some(wire)
    })
    .await;
    let ran = examine(&Shell::new(), &json!({ "url": unknown.url() })).await;
    let advice = "speaks no version of MCP that is known here";
    failed(&ran, "protocol", "protocol", 4, advice);

    let old = FaultServer::start(|request: Request, mut wire: Wire| async move {
        wire.session(&request, "s").await.then_some(wire)
    })
    .await;
    let entry = json!({ "url": old.url(), "protocolVersion": "2026-07-28" });
    let ran = examine(&Shell::new(), &entry).await;
    let document = ran.json();
    assert_eq!(
        (verdict(&ran, "protocol").as_str(), ran.code),
        ("failed", 4)
    );
    let advice = document["servers"][0]["advice"].as_str().unwrap();
    assert!(advice.contains("`protocolVersion`"), "{document}");
}

#[tokio::test]
async fn tools_that_cannot_be_used() {
    let odd = FaultServer::start(|request: Request, mut wire: Wire| async move {
        let written = match request.rpc_method().as_str() {
            "tools/list" => {
                let tools = json!([
                    { "name": "fine", "inputSchema": { "type": "object" } },
                    { "name": "bent", "inputSchema": { "type": "object",
                        "properties": { "a": { "type": "nonsense" } } } },
                    { "inputSchema": { "type": "object" } },
                ]);
                let listed = json!({ "resultType": "complete", "tools": tools });
                wire.json(&request.result(&listed)).await
            }
            _ => wire.modern(&request).await,
        };
        written.then_some(wire)
    })
    .await;
    let ran = examine(&Shell::new(), &json!({ "url": odd.url() })).await;
    warned(&ran, "schemas", "tell the server's author");
    assert!(ran.stdout.contains("bent"), "{}", ran.stdout);
    // The entry leaves out all that there is.
    let entry = json!({ "url": odd.url(), "enabledTools": ["another"] });
    let ran = examine(&Shell::new(), &entry).await;
    assert_eq!(verdict(&ran, "tools"), "warning", "{}", ran.stdout);
}

#[cfg(unix)]
#[tokio::test]
async fn programs_that_are_no_servers() {
    let shell = Shell::new();
    shell.write("server.sh", "#!/bin/sh\n");
    let program = shell.folder().join("server.sh");
    let ran = examine(&shell, &json!({ "command": program })).await;
    failed(&ran, "start", "connect", 4, "is not executable: `chmod +x`");

    let ran = examine(&Shell::new(), &json!({ "command": "cat" })).await;
    failed(&ran, "protocol", "protocol", 4, "is it the right program?");

    let child = child_command();
    let script = "echo starting up; exec \"$0\" --exact command::child --ignored --nocapture";
    let entry = json!({ "command": "sh", "args": ["-c", script, child[0]] });
    let ran = examine(&Shell::new(), &entry).await;
    warned(&ran, "output", "its logs belong on standard error");
}

#[tokio::test]
async fn files_that_are_wrong_before_any_server_is_asked() {
    let url = "http://127.0.0.1:9/mcp";
    for (entry, advice) in [
        (
            json!({ "url": url, "allowedHosts": ["example.com"] }),
            "127.0.0.1:9 is not one of `allowedHosts` (example.com)",
        ),
        (
            json!({ "url": url, "headers": { "Authorization": "Bearer ${input:token}" } }),
            "a question that VS Code asks",
        ),
        (
            json!({ "url": url, "headers": { "Authorization": "${TOKEN}" },
                "auth": { "type": "bearer", "token": "${TOKEN}" } }),
            "field `auth.token`",
        ),
        (json!({ "url": url, "type": "htp" }), "did you mean `http`?"),
        (
            json!({ "command": "x", "args": ["--token", "${TOKEN}"] }),
            "give the value to the child with `env`",
        ),
        (json!({ "url": "" }), "field `url`: is empty"),
    ] {
        let shell = Shell::new().var("TOKEN", "test-token");
        let ran = examine(&shell, &entry).await;
        failed(&ran, "configuration", "config", 2, advice);
    }
    let shell = Shell::new();
    shell.write("mcp.json", "{\"mcpServers\": {\n  \"one\": {\"url\"}\n}}");
    let ran = shell.run(&["doctor", "--json"]).await;
    assert_eq!((ran.kind().as_str(), ran.code), ("config", 2));
    assert!(
        ran.stdout.contains("mcp.json:2: not JSON"),
        "{}",
        ran.stdout
    );

    // What is odd in the file itself is told too.
    let server = server(|_| None).await;
    let file: Value = json!({ "inputs": [], "servers": { "one": { "url": server.url() } } });
    shell.write("mcp.json", &file.to_string());
    let ran = shell.run(&["doctor", "--json"]).await;
    warned(&ran, "configuration", "VS Code asks for these values");
}

#[cfg(unix)]
#[tokio::test]
async fn logins_that_others_could_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = AuthServer::start().await;
    let shell = crate::consent::shell(&server, &json!({})).var("MCPT_TOKEN_STORE", "file:kept");
    let folder = shell.folder().join("kept");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let ran = shell.run(&["doctor", "one", "--json"]).await;
    failed(&ran, "configuration", "config", 2, "chmod 700");
}
