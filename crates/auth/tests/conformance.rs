//! The providers of this crate keep the rules that they are offered to others by, and a provider
//! that breaks them is found out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mcp_auth::testing::{ScriptedSource, check_provider};
use mcp_auth::{
    Anonymous, Bearer, Combined, CredentialError, CredentialProvider, CredentialRequest,
    Credentials, Headers, MaybeReady, PerPrincipal, Recovery, RefreshingToken, Rejection,
    SecretHeaders, SecretRef, SharedProvider, from_async_fn, from_fn,
};

fn refreshing() -> RefreshingToken {
    RefreshingToken::new(ScriptedSource::new().with_delay(Duration::from_millis(10)))
}

#[tokio::test(start_paused = true)]
async fn every_provider_keeps_the_rules() {
    let tenant = || Headers::new([("X-Tenant-Id", "test-tenant")]).unwrap();
    let providers: [SharedProvider; 9] = [
        Arc::new(Anonymous::new()),
        Arc::new(Bearer::new("test-token").unwrap()),
        Arc::new(tenant()),
        Arc::new(refreshing()),
        Arc::new(Combined::new(refreshing(), tenant()).unwrap()),
        Arc::new(PerPrincipal::new(|_, _| Ok(refreshing()))),
        Arc::new(
            SecretHeaders::new()
                .bearer(SecretRef::literal("test-token"))
                .unwrap(),
        ),
        Arc::new(from_fn(|_| Ok(Credentials::bearer("test-token")?))),
        Arc::new(from_async_fn(|_| async {
            Ok(Credentials::bearer("test-token")?)
        })),
    ];
    for provider in providers {
        let shown = format!("{provider:?}");
        check_provider(provider)
            .await
            .unwrap_or_else(|broken| panic!("{shown}: {broken}"));
    }
}

/// Fetches for every rejection, without looking whose token was refused, and shows its token.
struct Careless(AtomicU32);

impl std::fmt::Debug for Careless {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Careless(test-token-{})", self.0.load(Ordering::SeqCst))
    }
}

impl CredentialProvider for Careless {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let number = self.0.load(Ordering::SeqCst);
        let made = Credentials::bearer(format!("test-token-{number}"));
        MaybeReady::ready(made.map_err(Into::into))
    }

    fn rejected<'a>(
        &'a self,
        _: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        MaybeReady::ready(Ok(Recovery::Retry))
    }
}

#[tokio::test(start_paused = true)]
async fn a_careless_provider_is_found_out() {
    let broken = check_provider(Arc::new(Careless(AtomicU32::new(0))))
        .await
        .unwrap_err();
    let rules = broken.rules().join("\n");
    assert!(rules.contains("Debug does not show"), "{rules}");
    assert!(rules.contains("leaves the new ones in use"), "{rules}");
}
