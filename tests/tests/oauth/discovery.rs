//! Metadata that lies, hides or leads elsewhere.

use super::*;

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
        let told = shown(&error);
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
            let told = shown(&error);
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
    assert!(shown(&error).contains("LimitExceeded"), "{error:?}");
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
async fn a_clients_secret_stays_with_the_issuer_it_was_first_used_at() {
    let (server, other) = (AuthServer::start().await, AuthServer::start().await);
    let oauth = oauth(&server)
        .grant(Grant::ClientCredentials)
        .client_id("known")
        .client_secret(SecretRef::literal("test-secret"))
        .build();
    let resource = resource(&server, &oauth);
    call(&resource, &alice()).await.unwrap();
    server.resource_metadata(json!({"authorization_servers": [other.issuer()]}));
    server.end_access();
    let error = call(&resource, &alice()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert_eq!(
        other.count("/token"),
        0,
        "the secret was shown to another issuer"
    );
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
    assert!(shown(&error).contains("fixed token"), "{error:?}");
}
