//! E5 to E7 and E11: sources that fail, hang and panic.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::{Instant, advance};

use super::{ask, ask_now, exact, is, reject, settle};
use crate::testing::{ScriptedSource, Step};
use crate::{
    AuthorizationRequired, CredentialError, CredentialErrorKind, PerPrincipal, Recovery,
    RefreshingToken, Token,
};

const SECOND: Duration = Duration::from_secs(1);

fn retry_after(error: &CredentialError) -> Duration {
    match error.kind() {
        CredentialErrorKind::Unavailable {
            retry_after: Some(delay),
        } => *delay,
        kind => panic!("{kind:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_refresh_never_displaces_a_valid_token() {
    let source = ScriptedSource::new().then_token("test-valid", 3600 * SECOND);
    for _ in 0..1000 {
        source.push(Step::Fail(CredentialError::unavailable("down")));
    }
    let (provider, _) = exact(&source);
    ask(&*provider).await.unwrap();
    advance(3570 * SECOND).await;
    // 25 seconds of calls, 100 in each: every one is answered, and the source is asked a few times.
    for _ in 0..2499 {
        assert!(is(&ask_now(&*provider).unwrap(), "test-valid"));
        settle().await;
        advance(SECOND / 100).await;
    }
    let tries = source.calls() - 1;
    assert!((4..=9).contains(&tries), "{tries} tries");
}

#[tokio::test(start_paused = true)]
async fn all_callers_share_the_failure_and_the_pause() {
    let source = ScriptedSource::new()
        .with_delay(SECOND)
        .then_fail(CredentialError::unavailable("down"))
        .then_fail(CredentialError::unavailable("down"));
    let (provider, diary) = exact(&source);
    let callers: Vec<_> = (0..200)
        .map(|_| {
            let provider = Arc::clone(&provider);
            tokio::spawn(async move { ask(&*provider).await.unwrap_err() })
        })
        .collect();
    for caller in callers {
        let error = caller.await.unwrap();
        assert_eq!(error.to_string(), "down");
        assert!(retry_after(&error) <= SECOND / 4);
    }
    assert_eq!(source.calls(), 1);
    // Within the pause: at once, with the time that is left.
    let begun = Instant::now();
    for _ in 0..1000 {
        assert!(ask(&*provider).await.unwrap_err().is_transient());
    }
    assert_eq!((begun.elapsed(), source.calls()), (Duration::ZERO, 1));
    // Pauses grow, and end.
    advance(SECOND / 4).await;
    let error = ask(&*provider).await.unwrap_err();
    assert!((SECOND / 4..=SECOND / 2).contains(&retry_after(&error)));
    advance(SECOND / 2).await;
    assert!(is(&ask(&*provider).await.unwrap(), "test-token-1"));
    assert_eq!(
        *diary.lock().unwrap(),
        ["failed: down", "failed: down", "first"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_source_is_left_alone_as_long_as_it_asks() {
    let source = ScriptedSource::new()
        .then_fail(CredentialError::retry_after(120 * SECOND, "busy"))
        .then_fail(CredentialError::retry_after(Duration::MAX, "hostile"));
    let (provider, _) = exact(&source);
    ask(&*provider).await.unwrap_err();
    advance(119 * SECOND).await;
    assert_eq!(retry_after(&ask(&*provider).await.unwrap_err()), SECOND);
    assert_eq!(source.calls(), 1);
    advance(SECOND).await;
    let error = ask(&*provider).await.unwrap_err();
    assert_eq!(retry_after(&error), 300 * SECOND);
    advance(300 * SECOND).await;
    ask(&*provider).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_is_gone_is_told_and_not_asked_for_again() {
    let gone = || {
        let required = AuthorizationRequired::new().with_scopes(["read"]);
        CredentialError::needs_authorization(required)
    };
    let source = ScriptedSource::new()
        .then_token("test-valid", 3600 * SECOND)
        .then_fail(gone());
    let (provider, _) = exact(&source);
    let valid = ask(&*provider).await.unwrap();
    match reject(&*provider, &valid).await.unwrap() {
        Recovery::NeedsAuthorization(required) => assert_eq!(required.scopes, ["read"]),
        other => panic!("{other:?}"),
    }
    for _ in 0..1000 {
        let error = ask(&*provider).await.unwrap_err();
        let CredentialErrorKind::NeedsAuthorization(_) = error.kind() else {
            panic!("{error:?}");
        };
        assert!(matches!(
            reject(&*provider, &valid).await.unwrap(),
            Recovery::NeedsAuthorization(_)
        ));
    }
    assert_eq!(source.calls(), 2);
    // The user has signed in.
    let fresh = Token::new("test-signed-in").expires_in(3600 * SECOND);
    provider.replace(fresh).await.unwrap();
    assert!(is(&ask_now(&*provider).unwrap(), "test-signed-in"));
    assert_eq!(source.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_meets_its_deadline() {
    let source = ScriptedSource::new().then(Step::Hang);
    let (provider, _) = exact(&source);
    let begun = Instant::now();
    let error = ask(&*provider).await.unwrap_err();
    assert_eq!(begun.elapsed(), 30 * SECOND);
    assert!(error.to_string().contains("in time"), "{error}");
    advance(SECOND).await;
    assert!(is(&ask(&*provider).await.unwrap(), "test-token-1"));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_is_an_error_without_its_words() {
    let source = ScriptedSource::new().then(Step::Panic("canary-token".into()));
    let (provider, diary) = exact(&source);
    let error = ask(&*provider).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"));
    assert!(!format!("{diary:?}").contains("canary"));
    advance(SECOND).await;
    assert!(is(&ask(&*provider).await.unwrap(), "test-token-1"));
}

#[tokio::test(start_paused = true)]
async fn one_users_hanging_source_does_not_hold_up_another() {
    use crate::{CredentialProvider, CredentialRequest, Principal, ServerId};
    let provider = Arc::new(PerPrincipal::new(|_, principal| {
        let source = ScriptedSource::new();
        if principal.user() == "hung" {
            source.push(Step::Hang);
        }
        Ok(RefreshingToken::new(source))
    }));
    let for_user = |user: &'static str| {
        let provider = Arc::clone(&provider);
        async move {
            let (server, user) = (ServerId::new("s").unwrap(), Principal::new(user).unwrap());
            provider
                .credentials(CredentialRequest::new(&server, &user))
                .await
        }
    };
    let hung = tokio::spawn(for_user("hung"));
    settle().await;
    let begun = Instant::now();
    for_user("alice").await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(hung.await.unwrap().is_err());
}

#[test]
fn a_runtime_that_goes_away_strands_nobody() {
    let source = ScriptedSource::new().with_delay(SECOND / 20);
    let (provider, _) = exact(&source);
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    };
    let first = runtime();
    let caller = Arc::clone(&provider);
    first.block_on(async move {
        let asking = tokio::spawn(async move { ask(&*caller).await });
        settle().await;
        asking.abort();
    });
    assert_eq!(source.calls(), 1);
    let waiting = {
        let provider = Arc::clone(&provider);
        std::thread::spawn(move || runtime().block_on(ask(&*provider)))
    };
    drop(first);
    assert!(waiting.join().unwrap().is_ok());
    assert_eq!(source.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_login_counts_more_than_a_refresh_that_was_under_way() {
    let source = ScriptedSource::new()
        .then_token("test-valid", 3600 * SECOND)
        .with_delay(SECOND)
        .then_token("test-late", 3600 * SECOND)
        .then_fail(CredentialError::denied("gone"));
    let (provider, _) = exact(&source);
    ask(&*provider).await.unwrap();
    for login in ["test-login-1", "test-login-2"] {
        advance(3600 * SECOND).await;
        let caller = Arc::clone(&provider);
        let caller = tokio::spawn(async move { ask(&*caller).await });
        settle().await;
        let token = Token::new(login)
            .with_refresh_token(login)
            .expires_in(3600 * SECOND);
        provider.replace(token).await.unwrap();
        assert!(is(&caller.await.unwrap().unwrap(), login));
        assert!(is(&ask_now(&*provider).unwrap(), login));
    }
    advance(3600 * SECOND).await;
    ask(&*provider).await.unwrap();
    // Each login's refresh token is the one that buys the next.
    let contexts = source.contexts();
    let bought_with: Vec<_> = contexts
        .iter()
        .map(|context| {
            let refresh = context.previous.as_ref()?.refresh_token()?;
            Some(refresh.expose_secret().to_owned())
        })
        .collect();
    assert_eq!(bought_with[2].as_deref(), Some("test-login-1"));
    assert_eq!(bought_with[3].as_deref(), Some("test-login-2"));
}
