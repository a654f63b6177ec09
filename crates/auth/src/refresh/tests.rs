//! Tokens in time: one refresh for all, early, shared failures, cancelled callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, advance, sleep};

use crate::{
    AuthorizationRequired, CredentialError, CredentialErrorKind, CredentialProvider,
    CredentialRequest, Credentials, MaybeReady, Principal, Recovery, RefreshingToken, Rejection,
    ServerId, Token, TokenContext, TokenSource,
};

fn ids() -> (ServerId, Principal) {
    (
        ServerId::new("test-server").unwrap(),
        Principal::new("alice").unwrap(),
    )
}

async fn ask(provider: &dyn CredentialProvider) -> Result<Credentials, CredentialError> {
    let (server, principal) = ids();
    provider
        .credentials(CredentialRequest::new(&server, &principal))
        .await
}

async fn reject(
    provider: &dyn CredentialProvider,
    credentials: &Credentials,
) -> Result<Recovery, CredentialError> {
    let (server, principal) = ids();
    let request = CredentialRequest::new(&server, &principal);
    let rejection = Rejection::new(request, credentials, StatusCode::UNAUTHORIZED);
    provider.rejected(rejection).await
}

/// Counts, takes 100 ms, numbers its tokens.
fn counting(count: &Arc<AtomicU32>, lifetime: Duration) -> impl TokenSource + 'static {
    let count = Arc::clone(count);
    move |_: TokenContext| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            sleep(Duration::from_millis(100)).await;
            Ok(Token::new(format!("test-token-{number}")).expires_in(lifetime))
        }
    }
}

fn shows(credentials: &Credentials, token: &str) -> bool {
    *credentials == Credentials::bearer(token).unwrap()
}

async fn herd(callers: usize) {
    let count = Arc::new(AtomicU32::new(0));
    let provider = Arc::new(RefreshingToken::new(counting(
        &count,
        Duration::from_secs(3600),
    )));
    let all = |provider: &Arc<RefreshingToken>| {
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let provider = Arc::clone(provider);
                tokio::spawn(async move { ask(&*provider).await.unwrap() })
            })
            .collect();
        async move {
            let mut found = Vec::new();
            for task in tasks {
                found.push(task.await.unwrap());
            }
            found
        }
    };
    // E1: nobody has a token.
    let first = all(&provider).await;
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert!(first.iter().all(|found| shows(found, "test-token-1")));
    // E1: the token has ended.
    advance(Duration::from_secs(3600)).await;
    let second = all(&provider).await;
    assert_eq!(count.load(Ordering::SeqCst), 2);
    assert!(second.iter().all(|found| shows(found, "test-token-2")));
    // E2: everybody's request was refused.
    let tasks: Vec<_> = second
        .into_iter()
        .map(|refused| {
            let provider = Arc::clone(&provider);
            tokio::spawn(async move { reject(&*provider, &refused).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Recovery::Retry);
    }
    assert_eq!(count.load(Ordering::SeqCst), 3);
    assert!(shows(&ask(&*provider).await.unwrap(), "test-token-3"));
}

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_make_one_refresh() {
    herd(200).await;
}

#[tokio::test(start_paused = true)]
async fn five_thousand_callers_make_one_refresh() {
    herd(5000).await;
}

#[tokio::test(start_paused = true)]
async fn a_held_token_is_given_without_waiting() {
    let count = Arc::new(AtomicU32::new(0));
    let provider = RefreshingToken::new(counting(&count, Duration::from_secs(3600)));
    ask(&provider).await.unwrap();
    let (server, principal) = ids();
    let request = CredentialRequest::new(&server, &principal);
    assert!(provider.credentials(request).now().is_ok());
}
