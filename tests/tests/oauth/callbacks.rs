//! Callbacks and codes that people bring back.

use super::*;

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
async fn a_code_is_typed_where_nobody_listens() {
    for (page, is_shown) in [
        ("http://mcp.example.com/activate", false),
        ("javascript:alert(1)", false),
        ("https://user@mcp.example.com/activate", false),
        ("https://mcp.example.com/activate", true),
    ] {
        let server = AuthServer::start().await;
        let offered = json!({"device_code": "test-device-code", "user_code": "WDJB-MJHT",
            "verification_uri": page, "expires_in": 900});
        server.reply("/device", Reply::json(200, &offered));
        let oauth = oauth(&server).grant(Grant::DeviceCode).build();
        let resource = resource(&server, &oauth);
        let error = call(&resource, &alice()).await.unwrap_err();
        let is_told = error.kind() == ErrorKind::NeedsAuthorization;
        assert_eq!(is_told, is_shown, "{page}: {error}");
        assert_eq!(shown(&error).contains(page), is_shown, "{page}");
    }
}
