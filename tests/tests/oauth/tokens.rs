//! Tokens in time: ended, refused, too narrow, given up.

use super::*;

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
async fn a_stored_token_needs_nobody_until_it_ends() {
    let (server, other) = (AuthServer::start().await, AuthServer::start().await);
    let store: SharedStore = Arc::new(MemoryStore::new());
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let process = || {
        oauth(&server)
            .store(Arc::clone(&store))
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
    let shared = Arc::new(resource(&server, &later));
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let resource = Arc::clone(&shared);
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
    let _refused = call(&resource(&server, &process()), &alice()).await;
    assert_eq!(server.count("/token"), 1);
    assert_eq!(other.forms("/token")[0]["grant_type"], "authorization_code");
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
async fn a_logout_in_another_process_ends_what_is_held_here() {
    let server = AuthServer::start().await;
    let store: SharedStore = Arc::new(MemoryStore::new());
    let process = || oauth(&server).store(Arc::clone(&store));
    let (here, elsewhere) = (process().build(), process().handler(Yes).build());
    let bob = Principal::new("bob").unwrap();
    for user in [&alice(), &bob] {
        call(&resource(&server, &elsewhere), user).await.unwrap();
        call(&resource(&server, &here), user).await.unwrap();
    }
    elsewhere.logout(&alice()).await.unwrap();
    let (id, user) = (id(), alice());
    let held = async || {
        let request = CredentialRequest::new(&id, &user);
        let held = here.credentials(request).await.unwrap();
        !held.is_anonymous()
    };
    assert!(held().await);
    here.logged_out_elsewhere(&id, &|whose| *whose == user);
    assert!(!held().await);
    let his = CredentialRequest::new(&id, &bob);
    assert!(here.credentials(his).now().is_ok());
    // A login there is one here.
    call(&resource(&server, &elsewhere), &user).await.unwrap();
    call(&resource(&server, &here), &user).await.unwrap();
    assert!(held().await);
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

#[tokio::test]
async fn what_is_sent_is_what_the_specification_demands() {
    let server = AuthServer::start().await;
    let oauth = oauth(&server).handler(Yes).build();
    let resource = resource(&server, &oauth);
    call(&resource, &alice()).await.unwrap();
    server.end_access();
    call(&resource, &alice()).await.unwrap();
    let seen = server.seen();
    let of = |path: &str| {
        let mut those = seen
            .iter()
            .filter(|it| it.path.split('?').next() == Some(path));
        those.next().unwrap()
    };

    let registered = of("/register").json();
    // A redirect URL of loopback is that of a native program.
    assert_eq!(registered["application_type"], "native");
    assert_eq!(registered["redirect_uris"], json!([REDIRECT]));
    assert_eq!(
        registered["grant_types"],
        json!(["authorization_code", "refresh_token"])
    );

    let asked = url::Url::parse(&format!("http://x{}", of("/authorize").path)).unwrap();
    let asked: std::collections::BTreeMap<_, _> = asked.query_pairs().into_owned().collect();
    assert_eq!(asked["response_type"], "code");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["code_challenge"].len(), 43);
    assert_eq!(asked["redirect_uri"], REDIRECT);
    assert_eq!(asked["resource"], server.url());
    assert_eq!(asked["scope"], "tools:read");
    assert!(asked["state"].len() >= 22);

    let forms = server.forms("/token");
    assert_eq!(forms.len(), 2);
    let (code, refresh) = (&forms[0], &forms[1]);
    assert_eq!(code["grant_type"], "authorization_code");
    assert!((43..=128).contains(&code["code_verifier"].len()));
    assert_eq!(code["redirect_uri"], REDIRECT);
    assert_eq!(refresh["grant_type"], "refresh_token");
    for form in &forms {
        assert_eq!(form["resource"], server.url());
        assert!(!form["client_id"].is_empty());
    }
    // The scopes of a refresh are those that were granted (RFC 6749, section 6).
    assert!(!refresh.contains_key("scope"));
    // No token is ever in a URL, and none goes where it was not issued for.
    for request in &seen {
        assert!(!request.path.contains("test-access"), "{}", request.path);
        assert!(!request.path.contains("test-refresh"), "{}", request.path);
        let shown = request.header("authorization");
        assert!(
            request.path == "/mcp" || shown.is_none(),
            "{}",
            request.path
        );
    }
}
