//! The hot path allocates nothing: a static bearer, a cached token, a combination, a user's own.

use std::sync::Arc;

use mcp_auth::testing::ScriptedSource;
use mcp_auth::{
    Bearer, Combined, CredentialProvider, CredentialRequest, Headers, PerPrincipal, Principal,
    RefreshingToken, ServerId,
};

#[tokio::test]
async fn asking_for_what_is_held_allocates_nothing() {
    let (server, alice) = (
        ServerId::new("server").unwrap(),
        Principal::in_tenant("acme", "alice").unwrap(),
    );
    let request = CredentialRequest::new(&server, &alice);
    let refreshing = || RefreshingToken::new(ScriptedSource::new());
    let headers = Headers::new([("X-Tenant-Id", "acme")]).unwrap();
    let providers: [(&str, Arc<dyn CredentialProvider>); 4] = [
        ("bearer", Arc::new(Bearer::new("test-token").unwrap())),
        ("refreshing", Arc::new(refreshing())),
        (
            "combined",
            Arc::new(Combined::new(refreshing(), headers).unwrap()),
        ),
        (
            "per principal",
            Arc::new(PerPrincipal::new(move |_, _| Ok(refreshing()))),
        ),
    ];
    for (name, provider) in providers {
        // Held from here on.
        provider.credentials(request).await.unwrap();
        provider.credentials(request).await.unwrap();
        let counted = allocation_counter::measure(|| {
            for _ in 0..1000 {
                assert!(provider.credentials(request).now().unwrap().is_ok());
            }
        });
        assert_eq!(counted.count_total, 0, "{name}");
    }
}
