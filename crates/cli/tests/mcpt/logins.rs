//! `mcpt login` and `mcpt logout`.

use mcp_testbed::oauth::{AuthServer, Reply};
use serde_json::{Value, json};

use crate::command::{Ran, Shell};
use crate::consent::{as_it_is, log_in, log_in_by_hand, shell};

const CALL: [&str; 4] = ["call", "one", "echo", "--json"];

/// Changes where the browser comes back to.
type Spoil<'a> = &'a dyn Fn(String) -> String;

fn failed(ran: &Ran, kind: &str, code: i32) {
    assert_eq!(
        (ran.kind().as_str(), ran.code),
        (kind, code),
        "{}\n{}",
        ran.stdout,
        ran.stderr
    );
    for secret in ["test-access", "test-refresh", "test-code", "code_verifier"] {
        ran.shows_nothing_of(secret);
    }
}

#[tokio::test]
async fn from_login_to_logout() {
    let server = AuthServer::start().await;
    let shell = shell(&server, &json!({}));
    failed(&shell.run(&CALL).await, "needs_authorization", 3);

    let ran = log_in(&shell, &["one"], as_it_is).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let document = ran.json();
    assert_eq!(document["server"], "one");
    assert_eq!(document["status"], "ok");
    assert_eq!(document["scopes"], json!(["tools:read"]));
    assert_eq!(document["issuer"], server.issuer());
    assert!(document["expires_at"].as_str().unwrap().ends_with('Z'));

    let ran = shell.run(&CALL).await;
    assert_eq!(ran.json()["status"], "ok", "{}", ran.stderr);
    // Nobody else is logged in.
    let other = [&CALL[..], &["--user", "mallory"]].concat();
    failed(&shell.run(&other).await, "needs_authorization", 3);
    let other = [&CALL[..], &["--tenant", "acme"]].concat();
    failed(&shell.run(&other).await, "needs_authorization", 3);
    only_the_owner_reads(&shell.folder().join(".local/share/mcpt"));

    let ran = shell.run(&["logout", "one", "--json"]).await;
    let expected = json!({ "server": "one", "status": "ok", "revoked": true });
    assert_eq!((ran.json(), ran.code), (expected, 0), "{}", ran.stderr);
    assert_eq!(server.refresh_tokens(), 0);
    failed(&shell.run(&CALL).await, "needs_authorization", 3);
    let ran = shell.run(&["logout", "one", "--json"]).await;
    assert_eq!((ran.json()["status"].as_str(), ran.code), (Some("ok"), 0));
    // The program is registered still.
    let ran = log_in(&shell, &["one"], as_it_is).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(server.count("/register"), 1);
}

#[cfg(unix)]
fn only_the_owner_reads(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert!(!files.is_empty());
    for file in files {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
}

#[tokio::test]
async fn by_hand() {
    let server = AuthServer::start().await;
    let shell = shell(&server, &json!({}));
    let ran = log_in_by_hand(&shell, &["one"], as_it_is).await;
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(ran.json()["status"], "ok");
    let ran = shell.run(&CALL).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[tokio::test]
async fn people_are_told_in_words() {
    let server = AuthServer::start().await;
    let shell = shell(&server, &json!({}));
    let ran = shell.run(&["call", "one", "echo"]).await;
    assert!(ran.stderr.contains("`mcpt login one`"), "{}", ran.stderr);
    let ran = shell.run(&["logout", "one"]).await;
    assert_eq!(ran.stdout, "nobody was logged in to one\n");
}

#[tokio::test]
async fn a_callback_that_is_not_ours_is_not_believed() {
    let iss = "&iss=http%3A%2F%2F127.0.0.1%3A";
    let spoils: [(&str, i32, Spoil<'_>); 5] = [
        ("authorization_denied", 3, &|url| {
            url.replace("code=", "error=access_denied&ignored=")
        }),
        ("protocol", 4, &|url| url.replace("&state=", "&state=x")),
        ("protocol", 4, &|url| {
            url.replace(iss, "&iss=http%3A%2F%2Fevil.test%3A")
        }),
        ("protocol", 4, &|url| {
            url.split(iss).next().unwrap().to_owned()
        }),
        ("protocol", 4, &|url| url.replace(iss, "&iss=x&iss=y")),
    ];
    for (kind, code, spoil) in spoils {
        let server = AuthServer::start().await;
        let shell = shell(&server, &json!({}));
        failed(&log_in(&shell, &["one"], spoil).await, kind, code);
        failed(&log_in_by_hand(&shell, &["one"], spoil).await, kind, code);
        assert_eq!(server.count("/token"), 0, "no code is redeemed");
        failed(&shell.run(&CALL).await, "needs_authorization", 3);
    }
    let server = AuthServer::start().await;
    let shell = shell(&server, &json!({}));
    let ran = log_in_by_hand(&shell, &["one"], |_| "nonsense".to_owned()).await;
    failed(&ran, "protocol", 4);
}

#[tokio::test]
async fn foreign_metadata_is_not_followed() {
    let server = AuthServer::start().await;
    server.resource_metadata(json!({ "resource": "https://evil.test/mcp" }));
    let shell = shell(&server, &json!({}));
    let ran = shell.run(&["login", "one", "--json"]).await;
    failed(&ran, "protocol", 4);
    assert!(!shell.folder().join("url").exists(), "no browser opens");
    failed(&shell.run(&CALL).await, "protocol", 4);
}

#[tokio::test]
async fn a_step_up_names_the_scopes_and_the_next_login_asks_for_all() {
    let server = AuthServer::start().await;
    let shell = shell(&server, &json!({}));
    log_in(&shell, &["one"], as_it_is).await;
    server.need("tools:write");
    let ran = shell.run(&CALL).await;
    failed(&ran, "insufficient_scope", 3);
    let message = ran.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("tools:read") && message.contains("tools:write"),
        "{message}"
    );
    let ran = log_in(&shell, &["one"], as_it_is).await;
    assert_eq!(ran.json()["scopes"], json!(["tools:read", "tools:write"]));
    assert_eq!(shell.run(&CALL).await.code, 0);
}

#[tokio::test]
async fn an_authorization_server_that_is_down_or_says_no() {
    let server = AuthServer::start().await;
    let shell = shell(&server, &json!({}));
    let metadata = "/.well-known/oauth-authorization-server";
    server.reply(metadata, Reply::json(503, &json!({})));
    failed(
        &shell.run(&["login", "one", "--json"]).await,
        "credential_unavailable",
        3,
    );
    failed(&shell.run(&CALL).await, "credential_unavailable", 3);
    server.relent(metadata);

    server.reply("/token", Reply::error("invalid_target", "not that one"));
    let ran = log_in(&shell, &["one"], as_it_is).await;
    failed(&ran, "credential_unavailable", 3);
    assert!(ran.stdout.contains("invalid_target"), "{}", ran.stdout);
}

#[tokio::test]
async fn nobody_comes_back() {
    let server = AuthServer::start().await;
    let shell = shell(&server, &json!({}));
    for words in [
        &["login", "one", "--json", "--timeout", "300ms"][..],
        &["--timeout", "300ms", "login", "one", "--json", "--headless"],
    ] {
        // Standard input stays open and says nothing.
        let mut running = shell.start(words);
        let stdin = running.stdin.take();
        let ran = crate::command::finish(running).await;
        drop(stdin);
        failed(&ran, "timeout", 4);
    }
}

#[tokio::test]
async fn a_token_goes_to_the_url_that_it_was_had_for() {
    let (server, other) = (AuthServer::start().await, AuthServer::start().await);
    let shell = shell(&server, &json!({}));
    log_in(&shell, &["one"], as_it_is).await;
    // A file of somebody else's that has a server of the same name.
    let auth = json!({ "type": "oauth" });
    shell.write(
        "theirs.json",
        &json!({ "mcpServers": { "one": { "url": other.url(), "auth": auth } } }).to_string(),
    );
    let words = [&CALL[..], &["--config", "theirs.json"]].concat();
    failed(&shell.run(&words).await, "needs_authorization", 3);
    let sent = |it: &mcp_testbed::fault::Request| it.header("authorization").is_some();
    assert!(!other.seen().iter().any(sent));
}

#[tokio::test]
async fn a_url_can_be_logged_in_to_without_a_file() {
    let server = AuthServer::start().await;
    let shell = shell(&server, &json!({}));
    let url = server.url();
    let call = ["call", "echo", "--json", "--url", &url];
    // Nobody logged in: nothing is asked of an authorization server.
    failed(&shell.run(&call).await, "unauthorized", 3);
    assert_eq!(server.count("/prm"), 0);
    let ran = log_in(&shell, &["--url", &url], as_it_is).await;
    assert_eq!(ran.json()["server"], "adhoc", "{}", ran.stderr);
    let ran = shell.run(&call).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = shell.run(&["logout", "--url", &url, "--json"]).await;
    assert_eq!(ran.json()["revoked"], true);
    failed(&shell.run(&call).await, "unauthorized", 3);
}

#[tokio::test]
async fn tokens_are_kept_where_one_says() {
    let server = AuthServer::start().await;
    let shell = shell(&server, &json!({})).var("MCPT_TOKEN_STORE", "file:kept");
    log_in(&shell, &["one"], as_it_is).await;
    assert!(shell.folder().join("kept").is_dir());
    assert!(!shell.folder().join(".local").exists());
    assert_eq!(shell.run(&CALL).await.code, 0);
    let words = [&CALL[..], &["--token-store", "memory"]].concat();
    failed(&shell.run(&words).await, "needs_authorization", 3);
    let shell = shell.var("MCPT_TOKEN_STORE", "disk");
    failed(&shell.run(&CALL).await, "config", 2);

    let server = AuthServer::start().await;
    let elsewhere = crate::consent::shell(&server, &json!({}));
    let data = elsewhere.folder().join("data");
    let elsewhere = elsewhere.var("XDG_DATA_HOME", data.to_str().unwrap());
    log_in(&elsewhere, &["one"], as_it_is).await;
    assert!(data.join("mcpt").is_dir());
}

#[cfg(unix)]
#[tokio::test]
async fn a_store_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = AuthServer::start().await;
    let shell = shell(&server, &json!({})).var("MCPT_TOKEN_STORE", "file:kept");
    let folder = shell.folder().join("kept");
    std::fs::create_dir(&folder).unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(&folder, open).unwrap();
    let ran = shell.run(&["login", "one", "--json"]).await;
    failed(&ran, "config", 2);
    assert!(ran.stdout.contains("chmod 700"), "{}", ran.stdout);
}

#[tokio::test]
async fn there_is_nothing_to_log_in_to() {
    let shell = Shell::new();
    let url = "http://127.0.0.1:9/mcp";
    let oauth = |grant: &str| -> Value {
        json!({ "url": url, "auth": { "type": "oauth", "grant": grant, "client_id": "c",
            "client_secret": "test-secret" } })
    };
    shell.write(
        "mcp.json",
        &json!({ "mcpServers": {
            "token": { "url": url, "auth": { "type": "bearer", "token": "test-token" } },
            "child": { "command": "x" },
            "machine": oauth("client_credentials"),
        } })
        .to_string(),
    );
    for server in ["token", "child", "machine", "nobody"] {
        let ran = shell.run(&["login", server, "--json"]).await;
        let kind = if server == "nobody" {
            "unknown_server"
        } else {
            "config"
        };
        failed(&ran, kind, 2);
        assert_eq!(ran.json()["server"], server);
    }
}

#[tokio::test]
async fn a_device_code_is_typed_elsewhere() {
    let server = AuthServer::start().await;
    let auth = json!({ "grant": "device_code", "client_id": "known" });
    let shell = shell(&server, &auth);
    server.approve_device();
    let ran = shell
        .run(&["login", "one", "--json", "--timeout", "30s"])
        .await;
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("WDJB-MJHT"), "{}", ran.stderr);
    assert_eq!(shell.run(&CALL).await.code, 0);
}
