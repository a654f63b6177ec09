//! Grants for which nobody has to be asked.

use std::io::Write as _;

use super::*;

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
    let told = shown(&error);
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
    let told = shown(&error);
    assert!(
        told.contains("access_denied") && !told.contains("test-identity-token"),
        "{told}"
    );
    let form = provider.forms("/token").remove(0);
    assert_eq!(form["audience"], server.issuer());
    assert_eq!(form["resource"], server.url());
    assert_eq!(server.count("/token"), 1);
}
