//! Credentials that are not taken, scopes that are missing, logins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp_testbed::oauth::{AuthServer, Reply};
use serde_json::{Value, json};

use super::{embedded, examine, failed, server, verdict, with_token};
use crate::command::Shell;
use crate::consent::{as_it_is, log_in};

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

fn jwt(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.test-token-signature",
        part(&json!({ "alg": "none" })),
        part(claims)
    )
}
