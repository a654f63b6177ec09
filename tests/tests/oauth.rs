//! What hostile or broken authorization servers do, and what must hold (the list of threats, B and E).
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::error::Error as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use mcp_auth::testing::ManualClock;
use mcp_core::auth::{
    CredentialError, CredentialErrorKind, CredentialProvider, CredentialRequest, MemoryStore,
    Principal, SecretRef, ServerId, SharedStore,
};
use mcp_core::{
    BoxFuture, CallContext, Error, ErrorKind, Failure, ProtocolVersion, ToolCall, ToolServer,
};
use mcp_http::{HttpClient, HttpRequest, HttpServer, HttpUrl};
use mcp_oauth::{
    AuthorizationHandler, AuthorizationPrompt, AuthorizationRequest, Dpop, Enterprise, Grant,
    OAuth, OAuthBuilder, OAuthError, TokenExchange,
};
use mcp_testbed::oauth::{AuthServer, Reply};
use serde_json::{Map, json};

const REDIRECT: &str = "http://127.0.0.1:4711/callback";
const PATIENCE: Duration = Duration::from_secs(10);

fn alice() -> Principal {
    Principal::new("alice").unwrap()
}

fn id() -> ServerId {
    ServerId::new("resource").unwrap()
}

fn oauth(server: &AuthServer) -> OAuthBuilder {
    OAuth::builder(id(), HttpUrl::parse(&server.url()).unwrap()).redirect_uri(REDIRECT)
}

fn resource(server: &AuthServer, oauth: &OAuth) -> HttpServer {
    HttpServer::builder(&server.url())
        .id(id())
        .protocol(Some(ProtocolVersion::V2026_07_28))
        .credentials(Arc::new(oauth.clone()))
        .build()
        .unwrap()
}

/// Lists the tools and calls the one.
async fn call(server: &HttpServer, user: &Principal) -> Result<(), Error> {
    let context = CallContext::new(user.clone()).with_timeout(PATIENCE);
    let listing = server.list_tools(&context).await?;
    let arguments = Map::new();
    let call = ToolCall::new(&listing.tools[0], &arguments);
    server.call_tool(call, &context).await.map(|_| ())
}

/// Where the authorization endpoint sends the user.
async fn consent(url: &str) -> String {
    let url = HttpUrl::parse(url).unwrap();
    let response = HttpClient::new()
        .send(HttpRequest::get(&url))
        .await
        .unwrap();
    response.header(&http::header::LOCATION).unwrap().to_owned()
}

/// A user who always says yes.
#[derive(Debug)]
struct Yes;

impl AuthorizationHandler for Yes {
    fn authorize<'a>(
        &'a self,
        prompt: &'a AuthorizationPrompt,
    ) -> BoxFuture<'a, Result<String, CredentialError>> {
        Box::pin(async { Ok(consent(&prompt.authorize_url).await) })
    }
}

/// The texts of an error and its causes, and how it is debugged.
fn told(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(" | {error}"));
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_callback_that_is_not_ours_touches_no_token() {
    let server = AuthServer::start().await;
    let oauth = oauth(&server).build();
    let resource = resource(&server, &oauth);
    let begin = async || oauth.begin(&alice(), AuthorizationRequest::new()).await;
    let prompt = begin().await.unwrap();
    let callback = consent(&prompt.authorize_url).await;
    oauth.complete(&callback).await.unwrap();
    call(&resource, &alice()).await.unwrap();
    let issued = server.count("/token");

    let iss = "&iss=http%3A%2F%2F127.0.0.1%3A";
    for spoil in [
        &|url: String| url.replace("&state=", "&state=x"),
        &|url: String| url.replace(iss, "&iss=http%3A%2F%2Fevil.test%3A"),
        &|url: String| url.split(iss).next().unwrap().to_owned(),
        &|url: String| format!("{url}%2F"),
        &|url: String| {
            url.replace("code=", "error=access_denied&error_description=canary&x=") + "x"
        },
    ] as [&dyn Fn(String) -> String; 5]
    {
        let prompt = begin().await.unwrap();
        let callback = spoil(consent(&prompt.authorize_url).await);
        let error = oauth.complete(&callback).await.unwrap_err();
        assert!(matches!(error, OAuthError::Protocol { .. }), "{error:?}");
        assert!(!format!("{error:?}").contains("canary"));
    }
    // Somebody else's callback in the session of alice.
    let prompt = oauth
        .begin(
            &Principal::new("mallory").unwrap(),
            AuthorizationRequest::new(),
        )
        .await
        .unwrap();
    let callback = consent(&prompt.authorize_url).await;
    let error = oauth.complete_for(&alice(), &callback).await.unwrap_err();
    assert!(matches!(error, OAuthError::Protocol { .. }));

    let prompt = begin().await.unwrap();
    let callback = consent(&prompt.authorize_url).await;
    let denied = callback.replace("code=", "error=access_denied&ignored=");
    let error = oauth.complete(&denied).await.unwrap_err();
    assert_eq!(Error::from(error).kind(), ErrorKind::AuthorizationDenied);

    assert_eq!(server.count("/token"), issued);
    call(&resource, &alice()).await.unwrap();
}

#[tokio::test]
async fn an_authorization_that_is_over_or_void_cannot_be_completed() {
    let server = AuthServer::start().await;
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let oauth = oauth(&server).clock(clock.shared()).build();
    let begin = async || oauth.begin(&alice(), AuthorizationRequest::new()).await;
    let first = consent(&begin().await.unwrap().authorize_url).await;
    let second = consent(&begin().await.unwrap().authorize_url).await;
    // The one before is void.
    assert!(oauth.complete(&first).await.is_err());
    clock.advance(Duration::from_secs(601));
    assert!(oauth.complete(&second).await.is_err());
    assert_eq!(server.count("/token"), 0);
}

#[tokio::test]
async fn foreign_metadata_is_refused_before_anything_is_asked() {
    for (resource_patch, server_patch) in [
        (json!({"resource": "https://evil.test/mcp"}), json!({})),
        (json!({"authorization_servers": []}), json!({})),
        (json!({}), json!({"issuer": "https://evil.test"})),
        (json!({}), json!({"code_challenge_methods_supported": null})),
        (
            json!({}),
            json!({"code_challenge_methods_supported": ["plain"]}),
        ),
        (
            json!({}),
            json!({"authorization_endpoint": "javascript:alert(1)"}),
        ),
        (
            json!({}),
            json!({"authorization_endpoint": "http://as.test/authorize"}),
        ),
    ] {
        let server = AuthServer::start().await;
        server.resource_metadata(resource_patch.clone());
        server.server_metadata(server_patch.clone());
        let oauth = oauth(&server).handler(Yes).client_id("known").build();
        let error = call(&resource(&server, &oauth), &alice())
            .await
            .unwrap_err();
        let told = told(&error);
        assert_eq!(
            error.kind(),
            ErrorKind::Protocol,
            "{resource_patch} {server_patch}: {told}"
        );
        for path in ["/authorize", "/register", "/token"] {
            assert_eq!(server.count(path), 0, "{path} {told}");
        }
    }
}

#[tokio::test]
async fn urls_of_a_server_lead_nowhere_private() {
    let nowhere = [
        "http://169.254.169.254/latest",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/x",
        "https://[fd00::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://0.0.0.0/x",
        "https://2852039166/x",
        "https://0251.0376.0251.0376/x",
    ];
    for url in nowhere {
        for place in ["challenge", "issuer", "registration", "token"] {
            let server = AuthServer::start().await;
            match place {
                "challenge" => {
                    server.challenge(&format!("resource_metadata=\"{url}\""));
                    server.resource_metadata(json!({"resource": "https://evil.test"}));
                }
                "issuer" => server.resource_metadata(json!({"authorization_servers": [url]})),
                "registration" => server.server_metadata(json!({"registration_endpoint": url})),
                _ => server.server_metadata(json!({"token_endpoint": url})),
            }
            let oauth = oauth(&server).handler(Yes).build();
            let resource = resource(&server, &oauth);
            let error = call(&resource, &alice()).await.unwrap_err();
            let told = told(&error);
            assert!(told.contains("AddressRefused"), "{place} {url}: {told}");
        }
    }
}

#[tokio::test]
async fn a_document_without_an_end_is_cut_off() {
    let server = AuthServer::start().await;
    let huge = json!({"resource": server.url(), "x": "x".repeat(1 << 20)});
    server.reply("/prm", Reply::json(200, &huge));
    let oauth = oauth(&server).build();
    let error = call(&resource(&server, &oauth), &alice())
        .await
        .unwrap_err();
    assert!(told(&error).contains("LimitExceeded"), "{error:?}");
}

#[tokio::test]
async fn a_step_up_without_a_user_asks_for_the_union() {
    let server = AuthServer::start().await;
    let oauth = oauth(&server).build();
    let resource = resource(&server, &oauth);
    let login = async || {
        let prompt = oauth
            .begin(&alice(), AuthorizationRequest::new())
            .await
            .unwrap();
        let callback = consent(&prompt.authorize_url).await;
        oauth.complete(&callback).await.unwrap().scopes
    };
    assert_eq!(login().await, ["tools:read"]);
    server.need("tools:write");
    for _ in 0..2 {
        let error = call(&resource, &alice()).await.unwrap_err();
        let Failure::InsufficientScope {
            scopes,
            authorization,
        } = error.failure()
        else {
            panic!("{error:?}");
        };
        assert_eq!(*scopes, ["tools:read", "tools:write"]);
        assert!(authorization.as_ref().unwrap().authorize_url.is_some());
    }
    // The token that is held goes on to be used meanwhile, and the next login knows what is wanted.
    assert_eq!(server.count("/authorize"), 1);
    assert_eq!(login().await, ["tools:read", "tools:write"]);
    call(&resource, &alice()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_never_has_enough_is_asked_three_times_in_all() {
    let server = AuthServer::start().await;
    let oauth = oauth(&server).handler(Yes).build();
    let resource = resource(&server, &oauth);
    for scope in 0..20 {
        server.need(&format!("more-{scope}"));
        let _ = call(&resource, &alice()).await;
    }
    assert!(
        server.count("/authorize") <= 3,
        "{}",
        server.count("/authorize")
    );
}

#[tokio::test]
async fn an_ended_grant_is_terminal_and_makes_no_storm() {
    let server = AuthServer::start().await;
    let oauth = oauth(&server).build();
    let resource = resource(&server, &oauth);
    let prompt = oauth
        .begin(&alice(), AuthorizationRequest::new())
        .await
        .unwrap();
    let callback = consent(&prompt.authorize_url).await;
    oauth.complete(&callback).await.unwrap();
    call(&resource, &alice()).await.unwrap();
    server.end_access();
    server.end_refresh();
    let mut urls = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let error = call(&resource, &alice()).await.unwrap_err();
        let Failure::NeedsAuthorization(required) = error.failure() else {
            panic!("{error:?}");
        };
        urls.insert(required.authorize_url.clone().unwrap());
    }
    // One code and one refresh; and the user is told of one authorization, not of twenty.
    assert_eq!(server.count("/token"), 2);
    assert_eq!(urls.len(), 1);
}

#[tokio::test]
async fn a_failing_token_endpoint_is_left_alone_and_told() {
    let server = AuthServer::start().await;
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let oauth = oauth(&server).clock(clock.shared()).handler(Yes).build();
    let resource = resource(&server, &oauth);
    call(&resource, &alice()).await.unwrap();
    let busy = Reply::json(503, &json!({})).header("Retry-After", "30");
    server.reply("/token", busy);
    // Near its end the token is refreshed, in vain; calls go on with it.
    clock.advance(Duration::from_secs(3_580));
    call(&resource, &alice()).await.unwrap();
    clock.advance(Duration::from_secs(120));
    for _ in 0..5 {
        let error = call(&resource, &alice()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable, "{error:?}");
    }
    assert!(server.count("/token") <= 3, "{}", server.count("/token"));
    server.relent("/token");
    clock.advance(Duration::from_secs(60));
    call(&resource, &alice()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_was_forgotten_registers_again() {
    let server = AuthServer::start().await;
    let oauth = oauth(&server).handler(Yes).build();
    let resource = resource(&server, &oauth);
    call(&resource, &alice()).await.unwrap();
    server.forget_clients();
    server.end_access();
    call(&resource, &alice()).await.unwrap();
    assert_eq!(server.count("/register"), 2);
}

#[tokio::test]
async fn a_move_to_another_issuer_takes_nothing_along() {
    let (server, other) = (AuthServer::start().await, AuthServer::start().await);
    let oauth = oauth(&server).handler(Yes).build();
    let resource = resource(&server, &oauth);
    call(&resource, &alice()).await.unwrap();
    server.resource_metadata(json!({"authorization_servers": [other.issuer()]}));
    server.end_access();
    // The new one's tokens are unknown to the resource: the call is refused, after it was asked.
    let error = call(&resource, &alice()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert_eq!(other.count("/register"), 1);
    let sent = other.forms("/token");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["grant_type"], "authorization_code");

    // A client that was registered beforehand is not tried elsewhere.
    let pinned = self::oauth(&server)
        .client_id("known")
        .client_secret(SecretRef::literal("test-secret"))
        .issuer(server.issuer())
        .handler(Yes)
        .build();
    let error = call(&self::resource(&server, &pinned), &alice())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert_eq!(other.count("/token"), 1);
}

#[tokio::test]
async fn a_stored_token_needs_nobody_until_it_ends() {
    let (server, other) = (AuthServer::start().await, AuthServer::start().await);
    let store: SharedStore = Arc::new(MemoryStore::new());
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let process = || {
        oauth(&server)
            .store(store.clone())
            .clock(clock.shared())
            .handler(Yes)
            .build()
    };
    call(&resource(&server, &process()), &alice())
        .await
        .unwrap();
    // The issuer is down; another process, many callers, one stored token.
    let down = Reply::json(500, &json!({}));
    for path in ["/prm", "/.well-known/oauth-authorization-server", "/token"] {
        server.reply(path, down.clone());
    }
    let later = process();
    let resource = Arc::new(self::resource(&server, &later));
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let resource = Arc::clone(&resource);
            tokio::spawn(async move { call(&resource, &alice()).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(server.count("/prm"), 1);

    // It has ended, and the server has moved: the old refresh token goes nowhere.
    for path in ["/prm", "/.well-known/oauth-authorization-server", "/token"] {
        server.relent(path);
    }
    server.resource_metadata(json!({"authorization_servers": [other.issuer()]}));
    clock.advance(Duration::from_secs(4_000));
    let _refused = call(&self::resource(&server, &process()), &alice()).await;
    assert_eq!(server.count("/token"), 1);
    assert_eq!(other.forms("/token")[0]["grant_type"], "authorization_code");
}

#[tokio::test]
async fn a_projected_token_is_read_at_each_use() {
    let server = AuthServer::start().await;
    server.lifetime(60);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "test-jwt-1").unwrap();
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let assertion = Arc::new(SecretRef::file(file.path()));
    let oauth = oauth(&server)
        .grant(Grant::JwtBearer(assertion))
        .clock(clock.shared())
        .build();
    let resource = resource(&server, &oauth);
    call(&resource, &alice()).await.unwrap();
    std::fs::write(file.path(), "test-jwt-2").unwrap();
    clock.advance(Duration::from_secs(61));
    call(&resource, &Principal::new("bob").unwrap())
        .await
        .unwrap();
    let forms = server.forms("/token");
    let used: Vec<_> = forms
        .iter()
        .map(|form| form["assertion"].as_str())
        .collect();
    assert_eq!(used, ["test-jwt-1", "test-jwt-2"]);
    for form in &forms {
        assert_eq!(form["resource"], server.url());
        assert!(!form.contains_key("client_id"));
    }
    // A refusal is reported, and nothing else is tried.
    server.reply(
        "/token",
        Reply::error("invalid_grant", "test-jwt-3 is expired"),
    );
    std::fs::write(file.path(), "test-jwt-3").unwrap();
    clock.advance(Duration::from_secs(61));
    let error = call(&resource, &alice()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
    let told = told(&error);
    assert!(
        told.contains("invalid_grant") && !told.contains("test-jwt-3"),
        "{told}"
    );
    assert_eq!(server.count("/token"), 3);
}

#[tokio::test]
async fn other_tokens_are_exchanged_as_the_rfcs_say() {
    let server = AuthServer::start().await;
    let exchange = TokenExchange::new(SecretRef::literal("test-subject")).audience("mcp");
    let exchanging = oauth(&server)
        .grant(Grant::TokenExchange(exchange))
        .client_id("known")
        .client_secret(SecretRef::literal("test-secret"))
        .build();
    call(&resource(&server, &exchanging), &alice())
        .await
        .unwrap();
    let form = server.forms("/token").remove(0);
    assert_eq!(
        form["grant_type"],
        "urn:ietf:params:oauth:grant-type:token-exchange"
    );
    assert_eq!(form["subject_token"], "test-subject");
    assert_eq!(form["audience"], "mcp");
    assert_eq!(form["scope"], "tools:read");

    // The company's identity provider says no: final, and its page is nobody's business.
    let provider = AuthServer::start().await;
    provider.reply(
        "/token",
        Reply::error("access_denied", "not for test-identity-token"),
    );
    let identity = SecretRef::literal("test-identity-token");
    let enterprise = Enterprise::at_issuer(provider.issuer(), "idp-client", identity)
        .client_secret(SecretRef::literal("test-idp-secret"));
    let vouched = oauth(&server)
        .grant(Grant::Enterprise(enterprise))
        .client_id("known")
        .client_secret(SecretRef::literal("test-secret"))
        .build();
    let error = call(&resource(&server, &vouched), &alice())
        .await
        .unwrap_err();
    let told = told(&error);
    assert!(
        told.contains("access_denied") && !told.contains("test-identity-token"),
        "{told}"
    );
    let form = provider.forms("/token").remove(0);
    assert_eq!(form["audience"], server.issuer());
    assert_eq!(form["resource"], server.url());
    assert_eq!(server.count("/token"), 1);
}

#[tokio::test]
async fn a_device_code_is_shown_until_it_is_typed() {
    let server = AuthServer::start().await;
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let oauth = oauth(&server)
        .grant(Grant::DeviceCode)
        .clock(clock.shared())
        .build();
    let resource = resource(&server, &oauth);
    for polls in 0..3 {
        let error = call(&resource, &alice()).await.unwrap_err();
        let Failure::NeedsAuthorization(required) = error.failure() else {
            panic!("{error:?}");
        };
        assert_eq!(required.user_code.as_deref(), Some("WDJB-MJHT"));
        assert_eq!(server.count("/device"), 1);
        assert_eq!(server.count("/token"), polls);
        clock.advance(Duration::from_secs(11));
    }
    server.approve_device();
    call(&resource, &alice()).await.unwrap();
    assert_eq!(
        server.forms("/token").last().unwrap()["device_code"],
        "test-device-code"
    );
}

#[tokio::test]
async fn a_bearer_token_in_place_of_a_bound_one_is_an_error_or_preferred_away() {
    for (dpop, fine) in [(Dpop::Require, false), (Dpop::Prefer, true)] {
        let server = AuthServer::start().await;
        server.server_metadata(json!({"dpop_signing_alg_values_supported": ["ES256"]}));
        let oauth = oauth(&server).dpop(dpop).handler(Yes).build();
        let outcome = call(&resource(&server, &oauth), &alice()).await;
        assert_eq!(outcome.is_ok(), fine, "{outcome:?}");
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
        let seen = server.seen();
        let asked = seen.iter().find(|it| it.path == "/token").unwrap();
        assert!(asked.header("dpop").is_some());
    }
    let server = AuthServer::start().await;
    let oauth = oauth(&server).dpop(Dpop::Require).handler(Yes).build();
    let error = call(&resource(&server, &oauth), &alice())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

#[tokio::test]
async fn a_logout_deletes_whatever_the_server_says() {
    let server = AuthServer::start().await;
    let store: SharedStore = Arc::new(MemoryStore::new());
    let oauth = oauth(&server).store(store).handler(Yes).build();
    let nothing = oauth.logout(&alice()).await.unwrap();
    assert!(!nothing.had_token && !nothing.revoked);
    for (broken, revoked) in [(false, true), (true, false)] {
        call(&resource(&server, &oauth), &alice()).await.unwrap();
        if broken {
            server.reply("/revoke", Reply::json(500, &json!({})));
        }
        let out = oauth.logout(&alice()).await.unwrap();
        assert_eq!((out.had_token, out.revoked), (true, revoked));
        assert_eq!(server.refresh_tokens(), usize::from(broken));
        let (id, user) = (id(), alice());
        let left = oauth
            .credentials(CredentialRequest::new(&id, &user))
            .await
            .unwrap();
        assert!(left.is_anonymous());
    }
    // Known there already: the second login did not register again.
    assert_eq!(server.count("/register"), 1);
}

#[tokio::test]
async fn tokens_go_to_no_other_server() {
    let server = AuthServer::start().await;
    let oauth = oauth(&server).handler(Yes).build();
    call(&resource(&server, &oauth), &alice()).await.unwrap();
    let (id, user, post) = (id(), alice(), http::Method::POST);
    let elsewhere = http::Uri::from_static("https://evil.test/mcp");
    let request = CredentialRequest::new(&id, &user).http(&post, &elsewhere);
    let error = oauth.credentials(request).await.unwrap_err();
    assert!(matches!(error.kind(), CredentialErrorKind::Misconfigured));
}

/// Everything that is logged, by whomever.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "current_thread")]
async fn no_secret_is_in_logs_or_errors() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let server = AuthServer::start().await;
    server.server_metadata(json!({"dpop_signing_alg_values_supported": ["ES256"]}));
    let oauth = oauth(&server).dpop(Dpop::Prefer).handler(Yes).build();
    let resource = resource(&server, &oauth);
    call(&resource, &alice()).await.unwrap();
    server.end_access();
    call(&resource, &alice()).await.unwrap();
    let mut told_all = format!("{oauth:?} {oauth:#?} {resource:?}");

    // A server that repeats what it was sent.
    server.echo("invalid_target");
    server.end_access();
    told_all.push_str(&told(&call(&resource, &alice()).await.unwrap_err()));
    let prompt = oauth
        .begin(&alice(), AuthorizationRequest::new())
        .await
        .unwrap();
    told_all.push_str(&format!("{prompt:?}"));
    let callback = consent(&prompt.authorize_url).await;
    let error = oauth.complete(&callback).await.unwrap_err();
    told_all.push_str(&told(&error.into()));
    oauth.logout(&alice()).await.unwrap();

    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("oauth_discovered") && log.contains("TRACE"));
    let mut secrets: Vec<String> = Vec::new();
    for form in server
        .forms("/token")
        .into_iter()
        .chain(server.forms("/revoke"))
    {
        for (name, value) in form {
            if matches!(
                &*name,
                "code" | "code_verifier" | "refresh_token" | "client_secret" | "token"
            ) {
                secrets.push(value);
            }
        }
    }
    for request in server.seen() {
        for name in ["authorization", "dpop"] {
            let value = request
                .header(name)
                .and_then(|value| value.split(' ').next_back());
            secrets.extend(value.map(str::to_owned));
        }
    }
    secrets.push(prompt.state.clone());
    assert!(secrets.len() > 10);
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} in the log");
        assert!(!told_all.contains(&secret), "{secret} in {told_all}");
    }
}

#[tokio::test]
async fn a_server_that_knows_no_oauth_is_told_apart() {
    let server = AuthServer::start().await;
    let absent = Reply::json(404, &json!({}));
    for path in [
        "/prm",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-authorization-server",
        "/register",
    ] {
        server.reply(path, absent.clone());
    }
    server.challenge("realm=\"api\"");
    let oauth = oauth(&server).handler(Yes).build();
    let error = call(&resource(&server, &oauth), &alice())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(told(&error).contains("fixed token"), "{error:?}");
}
