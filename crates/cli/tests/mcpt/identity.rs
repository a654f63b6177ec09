//! How the command makes itself known: by a client metadata document, and by a key that its tokens
//! are bound to.

use mcp_testbed::fault::Request;
use mcp_testbed::oauth::AuthServer;
use serde_json::{Value, json};

use crate::command::{Ran, Shell};
use crate::consent::{as_it_is, log_in, shell};

const CALL: [&str; 4] = ["call", "one", "echo", "--json"];
const DOCUMENT: &str = "https://app.example.com/mcpt.json";

async fn binding(auth: &Value) -> (AuthServer, Shell) {
    let server = AuthServer::start().await;
    server.bind_tokens();
    server.demand_nonce();
    let shell = shell(&server, auth);
    (server, shell)
}

/// The key in the proof that came with each request to the resource.
fn keys(server: &AuthServer) -> Vec<Value> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let key = |request: &Request| {
        let authorization = request.header("authorization")?;
        assert!(authorization.starts_with("DPoP "), "{authorization}");
        let header = request.header("dpop")?.split('.').next()?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let header: Value = serde_json::from_slice(&header).ok()?;
        Some(header["jwk"].clone())
    };
    let seen = server.seen();
    let to_resource = seen.iter().filter(|it| it.path == "/mcp");
    to_resource.filter_map(key).collect()
}

async fn called(server: &AuthServer, shell: &Shell) -> Ran {
    let ran = shell.run(&CALL).await;
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    for request in server.seen() {
        for name in ["authorization", "dpop"] {
            let secret = request.header(name).unwrap_or_default();
            if let Some(secret) = secret.split(' ').next_back().filter(|it| !it.is_empty()) {
                ran.shows_nothing_of(secret);
            }
        }
    }
    ran
}

#[tokio::test]
async fn a_login_is_bound_to_a_key_that_later_runs_have_as_well() {
    let (server, shell) = binding(&json!({ "dpop": true })).await;
    let ran = log_in(&shell, &["one"], as_it_is).await;
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    called(&server, &shell).await;
    server.demand_nonce();
    called(&server, &shell).await;
    server.end_access();
    called(&server, &shell).await;
    assert_eq!(server.count("/authorize"), 1);
    let keys = keys(&server);
    assert!(keys.len() >= 6, "{}", keys.len());
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[tokio::test]
async fn a_program_for_itself_is_bound_to_a_key_too() {
    let auth = json!({ "grant": "client_credentials", "client_id": "known",
        "client_secret": "${SECRET}", "dpop": true });
    let (server, shell) = binding(&auth).await;
    let shell = shell.var("SECRET", "test-secret");
    called(&server, &shell).await;
    called(&server, &shell).await;
    let forms = server.forms("/token");
    assert_eq!(forms.len(), 2, "one for the nonce: {forms:?}");
    assert!(keys(&server).len() >= 4);
}

#[tokio::test]
async fn a_bearer_token_in_place_of_a_bound_one() {
    for (dpop, code) in [(json!(true), 4), (json!("prefer"), 0)] {
        let server = AuthServer::start().await;
        server.server_metadata(json!({ "dpop_signing_alg_values_supported": ["ES256"] }));
        let shell = shell(&server, &json!({ "dpop": dpop }));
        let ran = log_in(&shell, &["one"], as_it_is).await;
        assert_eq!(ran.code, code, "{dpop}: {}", ran.stdout);
        if code == 0 {
            called(&server, &shell).await;
        } else {
            assert_eq!(ran.kind(), "protocol", "{}", ran.stdout);
            let ran = shell.run(&CALL).await;
            assert_eq!(ran.kind(), "needs_authorization", "{}", ran.stdout);
        }
        let seen = server.seen();
        let mut to_resource = seen.iter().filter(|it| it.path == "/mcp");
        assert!(to_resource.all(|it| it.header("dpop").is_none()));
    }
}

#[tokio::test]
async fn a_document_says_who_the_client_is() {
    let server = AuthServer::start().await;
    server.server_metadata(json!({ "client_id_metadata_document_supported": true }));
    let shell = shell(&server, &json!({ "client_metadata_url": DOCUMENT }));
    let ran = log_in(&shell, &["one"], as_it_is).await;
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    called(&server, &shell).await;
    server.end_access();
    called(&server, &shell).await;
    let forms = server.forms("/token");
    assert_eq!(forms.len(), 2);
    for form in &forms {
        assert_eq!(form["client_id"], DOCUMENT);
        assert!(!form.contains_key("client_secret"), "{form:?}");
    }
    assert_eq!(server.count("/register"), 0);
}

#[tokio::test]
async fn a_server_that_reads_no_documents_registers_the_client() {
    let server = AuthServer::start().await;
    let shell = shell(&server, &json!({ "client_metadata_url": DOCUMENT }));
    let ran = log_in(&shell, &["one"], as_it_is).await;
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(server.count("/register"), 1);
    assert_ne!(server.forms("/token")[0]["client_id"], DOCUMENT);
}

#[tokio::test]
async fn a_document_that_anybody_could_change_is_refused() {
    let server = AuthServer::start().await;
    server.server_metadata(json!({ "client_id_metadata_document_supported": true }));
    for url in [
        "http://app.example.com/mcpt.json",
        "https://app.example.com/",
    ] {
        let shell = shell(&server, &json!({ "client_metadata_url": url }));
        let ran = shell.run(&["login", "one", "--json"]).await;
        assert_eq!((ran.kind().as_str(), ran.code), ("config", 2), "{url}");
        assert!(ran.stdout.contains("`https`"), "{}", ran.stdout);
    }
    assert_eq!(server.count("/register") + server.count("/authorize"), 0);
}
