//! Whose child it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mcp_auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, SharedProvider,
};
use mcp_core::{CallContext, ErrorKind, Failure, Principal};
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn each_has_one_child_however_many_calls() {
    let server = Arc::new(serving());
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..40 {
        let server = Arc::clone(&server);
        calls.spawn(async move {
            let user = format!("user-{}", number % 2);
            (user.clone(), pid_of(&server, &of(&user)).await)
        });
    }
    let mut children = BTreeMap::new();
    for (user, pid) in calls.join_all().await {
        assert_eq!(*children.entry(user).or_insert(pid), pid);
    }
    assert_ne!(children["user-0"], children["user-1"]);
    server.close_all().await;
    assert!(children.into_values().all(|pid| !exists(pid)));
}

#[tokio::test]
async fn a_cancelled_start_serves_the_next_caller() {
    let server = serving();
    let cancelled = context();
    let pid = {
        let mut first = Box::pin(pid_of(&server, &cancelled));
        let there = async {
            loop {
                let seen = server.diagnostics(&Principal::local());
                if let Some(pid) = seen.and_then(|seen| seen.pid) {
                    return i32::try_from(pid).unwrap();
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            pid = there => pid,
            _ = &mut first => panic!("it was not cancelled"),
        }
    };
    assert_eq!(pid_of(&server, &context()).await, pid);
}

/// Gives each principal a token with a number that can be raised.
#[derive(Debug, Default)]
struct Rotating(AtomicU64);

impl CredentialProvider for Rotating {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let number = self.0.load(Ordering::SeqCst);
        let token = format!("test-token-{}-{number}", request.principal.user());
        MaybeReady::ready(Credentials::bearer(token).map_err(Into::into))
    }
}

#[tokio::test]
async fn a_rotated_token_replaces_the_child_and_drains_the_old_one() {
    let rotating = Arc::new(Rotating::default());
    let provider: SharedProvider = Arc::<Rotating>::clone(&rotating);
    let server = fault_child("serve").env("TOKEN", provider).build().unwrap();
    let (alice, bob) = (of("alice"), of("bob"));
    let old = pid_of(&server, &alice).await;
    let token = async |context: &CallContext| {
        let output = call_as(&server, context, "environment", json!({}))
            .await
            .unwrap();
        let seen: BTreeMap<String, String> = serde_json::from_str(&output.text()).unwrap();
        seen["TOKEN"].clone()
    };
    assert_eq!(token(&alice).await, "test-token-alice-0");
    assert_eq!(token(&bob).await, "test-token-bob-0");
    let in_flight = of("alice").with_timeout(Duration::from_secs(1));
    let waiting = call_as(&server, &in_flight, "wait", json!({}));
    let rotation = async {
        rotating.0.store(1, Ordering::SeqCst);
        assert_eq!(token(&alice).await, "test-token-alice-1");
        assert!(exists(old), "a call is in flight there");
    };
    let (waited, ()) = tokio::join!(biased; waiting, rotation);
    assert_eq!(waited.unwrap_err().kind(), ErrorKind::Timeout);
    gone(old).await;
    assert_eq!(token(&bob).await, "test-token-bob-1");
}

#[tokio::test]
async fn a_file_that_changes_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "test-token-1\n").unwrap();
    let reference = mcp_auth::SecretRef::file(&file);
    let server = fault_child("serve")
        .env("TOKEN", reference)
        .recheck_secrets(Duration::ZERO)
        .build()
        .unwrap();
    assert!(say(&server, "environment").await.contains("test-token-1"));
    let unchanged = pid_of(&server, &context()).await;
    assert_eq!(pid_of(&server, &context()).await, unchanged);
    std::fs::write(&file, "test-token-2\n").unwrap();
    assert!(say(&server, "environment").await.contains("test-token-2"));
    assert_ne!(pid_of(&server, &context()).await, unchanged);
    std::fs::remove_file(&file).unwrap();
    let error = call(&server, "echo", json!({})).await.unwrap_err();
    assert!(
        matches!(error.failure(), Failure::Config { message, .. }
        if message.contains("TOKEN") && message.contains("token")),
        "{error}"
    );
}
