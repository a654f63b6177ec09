//! `auth` of type `oauth`, for grants that ask nobody.

use mcp_testbed::oauth::{AuthServer, Reply};
use serde_json::{Value, json};

use crate::command::Shell;
use crate::consent::shell;

const CALL: [&str; 4] = ["call", "one", "echo", "--json"];

async fn called(shell: &Shell) {
    let ran = shell.run(&CALL).await;
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    ran.shows_nothing_of("test-secret");
    ran.shows_nothing_of("test-jwt");
}

#[tokio::test]
async fn a_program_for_itself() {
    let server = AuthServer::start().await;
    let auth = json!({ "grant": "client_credentials", "client_id": "known",
        "client_secret": "${SECRET}", "token_endpoint_auth_method": "client_secret_post",
        "scopes": ["tools:write"], "issuer": server.issuer(), "resource": server.url() });
    let shell = shell(&server, &auth).var("SECRET", "test-secret");
    called(&shell).await;
    let form = &server.forms("/token")[0];
    assert_eq!(form["client_id"], "known");
    assert_eq!(form["client_secret"], "test-secret");
    assert_eq!(form["scope"], "tools:read tools:write");
    assert_eq!(form["resource"], server.url());
    // It is kept for the next run.
    called(&shell).await;
    assert_eq!(server.count("/token"), 1);
    let declared = server.seen().iter().any(|request| {
        String::from_utf8_lossy(&request.body)
            .contains("io.modelcontextprotocol/oauth-client-credentials")
    });
    assert!(declared, "the extension is declared");
}

#[tokio::test]
async fn a_program_with_a_key() {
    let server = AuthServer::start().await;
    server.server_metadata(json!({
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
    }));
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let auth = json!({ "grant": "client_credentials", "client_id": "known",
        "private_key": { "file": "key.pem" }, "key_id": "k1", "algorithm": "ES256",
        "assertion_audience": "token_endpoint" });
    let shell = shell(&server, &auth);
    shell.write("key.pem", &key);
    called(&shell).await;
    let forms = server.forms("/token");
    let claims = claims(&forms[0]["client_assertion"]);
    assert_eq!(claims["aud"], format!("{}/token", server.issuer()));
    assert_eq!(claims["iss"], "known");
}

fn claims(jwt: &str) -> Value {
    use base64::Engine as _;
    let payload = jwt.split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test]
async fn somebody_vouches_anew_at_each_use() {
    let server = AuthServer::start().await;
    let auth = json!({ "grant": "jwt_bearer", "assertion": { "file": "token" } });
    let shell = shell(&server, &auth);
    shell.write("token", "test-jwt-1\n");
    called(&shell).await;
    shell.write("token", "test-jwt-2\n");
    server.end_access();
    called(&shell).await;
    let forms = server.forms("/token");
    let used: Vec<_> = forms
        .iter()
        .map(|form| form["assertion"].as_str())
        .collect();
    assert_eq!(used, ["test-jwt-1", "test-jwt-2"]);
}

#[tokio::test]
async fn a_command_vouches_for_one_user() {
    let server = AuthServer::start().await;
    let command = ["sh", "-c", "echo test-jwt-of-$MCPT_USER"];
    let auth = json!({ "grant": "token_exchange", "client_id": "known",
        "subject_token": { "command": command } });
    let shell = shell(&server, &auth);
    for user in ["alice", "bob"] {
        let words = [&CALL[..], &["--user", user]].concat();
        let ran = shell.run(&words).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    let forms = server.forms("/token");
    let used: Vec<_> = forms
        .iter()
        .map(|form| form["subject_token"].as_str())
        .collect();
    assert_eq!(used, ["test-jwt-of-alice", "test-jwt-of-bob"]);
}

#[tokio::test]
async fn the_company_vouches() {
    let (server, idp) = (AuthServer::start().await, AuthServer::start().await);
    let issued = json!({ "access_token": "test-jwt-jag", "token_type": "N_A",
        "issued_token_type": "urn:ietf:params:oauth:token-type:id-jag", "expires_in": 300 });
    idp.reply("/token", Reply::json(200, &issued));
    let auth = json!({ "grant": "enterprise", "client_id": "known", "client_secret": "test-secret",
        "subject_token": "${ID_TOKEN}",
        "idp": { "issuer": idp.issuer(), "client_id": "here", "client_secret": "test-secret-idp" } });
    let shell = shell(&server, &auth).var("ID_TOKEN", "test-jwt-id");
    called(&shell).await;
    let first = &idp.forms("/token")[0];
    assert_eq!(first["subject_token"], "test-jwt-id");
    assert_eq!(first["client_id"], "here");
    assert_eq!(server.forms("/token")[0]["assertion"], "test-jwt-jag");
}

#[tokio::test]
async fn what_a_grant_needs_is_asked_for() {
    let server = AuthServer::start().await;
    for (auth, words) in [
        (json!({ "grant": "jwt_bearer" }), "field `auth.assertion`"),
        (
            json!({ "grant": "token_exchange" }),
            "field `auth.subject_token`",
        ),
        (json!({ "grant": "enterprise" }), "field `auth.idp`"),
        (
            json!({ "grant": "client_credentials" }),
            "configure `client_id`",
        ),
        (
            json!({ "client_id": "known", "client_secret": "${UNSET_SECRET}" }),
            "field `auth.client_secret`: environment variable `UNSET_SECRET` is not set",
        ),
        (
            json!({ "grant": "jwt_bearer", "assertion": { "file": "no/such/file" } }),
            "field `auth.assertion`: file",
        ),
        (
            json!({ "grant": "jwt_bearer", "assertion": "test-jwt", "dpop": true }),
            "DPoP",
        ),
    ] {
        let shell = shell(&server, &auth);
        let ran = shell.run(&CALL).await;
        assert_eq!(
            (ran.kind().as_str(), ran.code),
            ("config", 2),
            "{auth}: {}",
            ran.stdout
        );
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
}
