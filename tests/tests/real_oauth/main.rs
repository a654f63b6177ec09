//! The whole way with servers of other people: `oidc-provider` issues, `fastmcp` verifies.
#![forbid(unsafe_code)]
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's panic is its report"
)]

mod browser;
mod processes;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mcp_auth::testing::ManualClock;
use mcp_core::auth::{
    CredentialProvider, CredentialRequest, Credentials, MemoryStore, Principal, Rejection,
    SecretRef, ServerId, SharedStore,
};
use mcp_core::{CallContext, ErrorKind, Failure, ToolCall, ToolServer};
use mcp_http::{HttpClient, HttpRequest, HttpServer, HttpUrl};
use mcp_oauth::{AuthorizationRequest, Dpop, Grant, OAuth, OAuthBuilder};
use mcp_testbed::real::{FastMcpOAuthServer, OidcProvider, SigningPair};
use serde_json::{Map, Value, json};

use browser::Browser;

const REDIRECT: &str = "http://127.0.0.1:4711/callback";
const PATIENCE: Duration = Duration::from_secs(40);

fn alice() -> Principal {
    Principal::new("alice").unwrap()
}

fn id() -> ServerId {
    ServerId::new("fastmcp").unwrap()
}

/// fastmcp spells issuers with a slash at the end, so the right spelling is pinned.
fn oauth(url: &str, issuer: &OidcProvider) -> OAuthBuilder {
    OAuth::builder(id(), HttpUrl::parse(url).unwrap())
        .redirect_uri(REDIRECT)
        .issuer(issuer.issuer())
}

fn server(url: &str, oauth: &OAuth) -> HttpServer {
    let server = HttpServer::builder(url).id(id());
    server.credentials(Arc::new(oauth.clone())).build().unwrap()
}

async fn call(
    server: &HttpServer,
    user: &Principal,
    tool: &str,
) -> Result<String, mcp_core::Error> {
    let context = CallContext::new(user.clone()).with_timeout(PATIENCE);
    let listing = server.list_tools(&context).await?;
    let tool = listing.tools.iter().find(|it| it.name() == tool).unwrap();
    let arguments = Map::new();
    let output = server
        .call_tool(ToolCall::new(tool, &arguments), &context)
        .await?;
    Ok(output.text())
}

async fn stats(provider: &OidcProvider) -> Value {
    let url = HttpUrl::parse(&provider.stats_url()).unwrap();
    let response = HttpClient::new()
        .send(HttpRequest::get(&url))
        .await
        .unwrap();
    serde_json::from_slice(&response.bytes(1 << 20).await.unwrap()).unwrap()
}

#[tokio::test]
async fn consent_is_data_and_any_replica_completes_it() {
    let provider = OidcProvider::start();
    let mcp = FastMcpOAuthServer::start(&provider);
    let store: SharedStore = Arc::new(MemoryStore::new());
    let replica = || {
        oauth(&mcp.url(), &provider)
            .store(Arc::clone(&store))
            .build()
    };
    let (one, other) = (replica(), replica());

    let error = call(&server(&mcp.url(), &one), &alice(), "whoami")
        .await
        .unwrap_err();
    let Failure::NeedsAuthorization(required) = error.failure() else {
        panic!("{error:?}");
    };
    assert_eq!(required.scopes, ["tools:read", "offline_access"]);
    let url = required.authorize_url.clone().unwrap();
    let browser = Browser {
        user: "alice".to_owned(),
    };
    let callback = browser.consent(&url, REDIRECT).await;

    let authorized = other.complete(&callback).await.unwrap();
    assert_eq!(authorized.principal, alice());
    assert_eq!(authorized.issuer, provider.issuer());
    // A code is good for once.
    assert!(other.complete(&callback).await.is_err());

    for replica in [&one, &other, &replica()] {
        let server = server(&mcp.url(), replica);
        let name = call(&server, &alice(), "whoami").await.unwrap();
        assert_eq!(name, "alice", "{}", mcp.output());
    }
    // Nobody else is logged in by it.
    let bob = Principal::new("bob").unwrap();
    let error = call(&server(&mcp.url(), &other), &bob, "whoami")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);

    let out = one.logout(&alice()).await.unwrap();
    assert!(out.had_token && out.revoked, "{}", provider.output());
    assert!(stats(&provider).await["revoked"].as_u64().unwrap() > 0);
    let error = call(&server(&mcp.url(), &one), &alice(), "whoami")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
}

#[tokio::test]
async fn fifty_callers_use_each_refresh_token_once() {
    let provider = OidcProvider::start();
    let mcp = FastMcpOAuthServer::start(&provider);
    let clock = ManualClock::new(now());
    let browser = Browser {
        user: "alice".to_owned(),
    };
    let oauth = oauth(&mcp.url(), &provider)
        .clock(clock.shared())
        .handler(browser)
        .build();
    let server = Arc::new(server(&mcp.url(), &oauth));
    let mut last = call(&server, &alice(), "token_id").await.unwrap();
    for round in 1..=3 {
        // By our clock every token has ended; the server's own clock accepts what comes.
        clock.advance(Duration::from_secs(2 * 3600));
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let server = Arc::clone(&server);
                tokio::spawn(async move { call(&server, &alice(), "token_id").await })
            })
            .collect();
        let mut seen = std::collections::BTreeSet::new();
        for caller in callers {
            seen.insert(caller.await.unwrap().unwrap());
        }
        assert_eq!(seen.len(), 1);
        assert!(seen.insert(last.clone()), "the token was not refreshed");
        last = seen.into_iter().find(|id| *id != last).unwrap();
        let stats = stats(&provider).await;
        assert_eq!(stats["success"]["refresh_token"], round, "{stats}");
        assert_eq!(stats["error"], json!({}), "{}", provider.output());
        assert_eq!(stats["registered"], 1);
    }
}

#[tokio::test]
async fn fifty_refused_callers_refresh_once() {
    let provider = OidcProvider::start();
    let mcp = FastMcpOAuthServer::start(&provider);
    let browser = Browser {
        user: "alice".to_owned(),
    };
    let oauth = oauth(&mcp.url(), &provider).handler(browser).build();
    call(&server(&mcp.url(), &oauth), &alice(), "whoami")
        .await
        .unwrap();
    let (id, user) = (id(), alice());
    let request = CredentialRequest::new(&id, &user);
    let stale = oauth.credentials(request).await.unwrap();
    let refusals = (0..50).map(|_| {
        let (oauth, stale) = (oauth.clone(), stale.clone());
        tokio::spawn(async move {
            let (id, user) = (self::id(), alice());
            let request = CredentialRequest::new(&id, &user);
            let refusal = Rejection::new(request, &stale, http::StatusCode::UNAUTHORIZED);
            oauth.rejected(refusal).await.unwrap();
            oauth.credentials(request).await.unwrap()
        })
    });
    for refused in refusals.collect::<Vec<_>>() {
        assert_ne!(refused.await.unwrap(), stale);
    }
    let stats = stats(&provider).await;
    assert_eq!(stats["success"]["refresh_token"], 1, "{stats}");
    assert_eq!(stats["error"], json!({}));
}

#[tokio::test]
async fn a_program_acts_for_itself_with_a_secret_or_a_key() {
    let keys = SigningPair::generate();
    let mut clients = vec![OidcProvider::machine_client("machine")];
    for key in &keys {
        let mut client = OidcProvider::machine_client(&key.algorithm);
        client["token_endpoint_auth_method"] = json!("private_key_jwt");
        client["jwks"] = json!({"keys": [key.public.clone()]});
        client.as_object_mut().unwrap().remove("client_secret");
        clients.push(client);
    }
    let provider = OidcProvider::start_with(&clients, false);
    let mcp = FastMcpOAuthServer::start(&provider);
    let machine = |id: &str| {
        oauth(&mcp.url(), &provider)
            .grant(Grant::ClientCredentials)
            .client_id(id)
    };
    let secret = SecretRef::literal(OidcProvider::CLIENT_SECRET);
    let mut providers = vec![machine("machine").client_secret(secret).build()];
    for key in keys {
        let pem = SecretRef::literal(key.pem);
        let client = machine(&key.algorithm).algorithm(&key.algorithm);
        providers.push(client.private_key(pem).build());
    }
    for oauth in &providers {
        let server = server(&mcp.url(), oauth);
        call(&server, &alice(), "token_id")
            .await
            .unwrap_or_else(|error| panic!("{error:?} {}", provider.output()));
        // It names the program: everybody has the same one.
        let bob = Principal::new("bob").unwrap();
        call(&server, &bob, "token_id").await.unwrap();
    }
    let stats = stats(&provider).await;
    assert_eq!(stats["success"]["client_credentials"], providers.len());

    let wrong = machine("machine").client_secret(SecretRef::literal("test-wrong-canary"));
    let error = call(&server(&mcp.url(), &wrong.build()), &alice(), "whoami")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
    let shown = format!("{error:?}");
    assert!(
        shown.contains("invalid_client") && !shown.contains("canary"),
        "{shown}"
    );
}

#[tokio::test]
async fn bound_tokens_are_proved_at_both_ends_with_nonces() {
    let provider = OidcProvider::start_with(&[], true);
    let url = HttpUrl::parse(&provider.bound_url()).unwrap();
    let store: SharedStore = Arc::new(MemoryStore::new());
    let build = || {
        OAuth::builder(id(), url.clone())
            .redirect_uri(REDIRECT)
            .dpop(Dpop::Require)
            .store(Arc::clone(&store))
            .handler(Browser {
                user: "alice".to_owned(),
            })
            .build()
    };
    let client = HttpClient::new();
    // The second one finds token and key in the store.
    for (oauth, expected) in [
        (build(), [401, 401, 200, 200]),
        (build(), [401, 200, 200, 200]),
    ] {
        let mut seen = Vec::new();
        for _ in 0..4 {
            let (id, user, post) = (id(), alice(), http::Method::POST);
            let request = CredentialRequest::new(&id, &user).http(&post, url.uri());
            let sent = oauth.credentials(request).await.unwrap();
            let response = send(&client, &url, &sent).await;
            if let Some(nonce) = response.headers().get("dpop-nonce") {
                oauth.nonce(request, nonce);
            }
            let status = response.status();
            seen.push(status.as_u16());
            if status == http::StatusCode::UNAUTHORIZED {
                let challenges = response.headers().get_all("www-authenticate");
                let challenges = mcp_core::auth::Challenge::parse(challenges, &sent);
                let refusal = Rejection::new(request, &sent, status).challenges(&challenges);
                let recovery = oauth.rejected(refusal).await.unwrap();
                assert_eq!(recovery, mcp_core::auth::Recovery::Retry, "{challenges:?}");
            }
        }
        assert_eq!(seen, expected, "{}", provider.output());
    }
    let stats = stats(&provider).await;
    assert_eq!(
        stats["success"],
        json!({"authorization_code": 1}),
        "{stats}"
    );
}

async fn send(
    client: &HttpClient,
    url: &HttpUrl,
    credentials: &Credentials,
) -> mcp_http::HttpResponse {
    let request = HttpRequest::post(url, "{}").credentials(credentials);
    client.send(request).await.unwrap()
}

#[tokio::test]
async fn a_login_listens_for_the_browser_and_registers_once() {
    let provider = OidcProvider::start();
    let mcp = FastMcpOAuthServer::start(&provider);
    let store: SharedStore = Arc::new(MemoryStore::new());
    for _ in 0..2 {
        let oauth = OAuth::builder(id(), HttpUrl::parse(&mcp.url()).unwrap())
            .issuer(provider.issuer())
            .store(Arc::clone(&store))
            .build();
        let page = tokio::sync::oneshot::channel();
        let authorized = oauth
            .login(&alice(), AuthorizationRequest::new(), PATIENCE, |prompt| {
                let prompt = prompt.clone();
                tokio::spawn(async move {
                    let browser = Browser {
                        user: "alice".to_owned(),
                    };
                    let callback = browser
                        .consent(&prompt.authorize_url, &prompt.redirect_uri)
                        .await;
                    let url = HttpUrl::parse(&callback).unwrap();
                    let response = HttpClient::new()
                        .send(HttpRequest::get(&url))
                        .await
                        .unwrap();
                    let body = response.bytes(1 << 20).await.unwrap();
                    let _ = page.0.send(String::from_utf8_lossy(&body).into_owned());
                });
            })
            .await
            .unwrap();
        assert_eq!(authorized.scopes, ["tools:read"]);
        assert!(page.1.await.unwrap().contains("logged in"));
        assert_eq!(
            call(&server(&mcp.url(), &oauth), &alice(), "whoami")
                .await
                .unwrap(),
            "alice"
        );
        oauth.logout(&alice()).await.unwrap();
    }
    assert_eq!(stats(&provider).await["registered"], 1);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the servers compare with the machine's clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
