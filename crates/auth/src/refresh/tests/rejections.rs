//! E10 and what a 401 or 403 does and does not do.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use tokio::time::advance;

use super::{ask, ask_now, exact, ids, is, reject, settle};
use crate::testing::{ScriptedSource, Step};
use crate::{
    Bearer, Challenge, CredentialError, CredentialProvider, CredentialRequest, Credentials,
    Recovery, RefreshingToken, Rejection, Token,
};

const SECOND: Duration = Duration::from_secs(1);

async fn forbidden(
    provider: &dyn CredentialProvider,
    credentials: &Credentials,
    challenge: &'static str,
) -> Result<Recovery, CredentialError> {
    let (server, principal) = ids();
    let value = HeaderValue::from_static(challenge);
    let challenges = Challenge::parse([&value], credentials);
    let request = CredentialRequest::new(&server, &principal);
    let rejection =
        Rejection::new(request, credentials, StatusCode::FORBIDDEN).challenges(&challenges);
    provider.rejected(rejection).await
}

#[tokio::test(start_paused = true)]
async fn a_rejection_of_an_old_token_is_ignored() {
    let source = ScriptedSource::new();
    let (provider, _) = exact(&source);
    let old = ask(&*provider).await.unwrap();
    assert_eq!(reject(&*provider, &old).await.unwrap(), Recovery::Retry);
    for _ in 0..100 {
        assert_eq!(reject(&*provider, &old).await.unwrap(), Recovery::Retry);
    }
    assert_eq!(source.calls(), 2);
    assert!(is(&ask_now(&*provider).unwrap(), "test-token-2"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_not_sent_while_its_refresh_fails() {
    let source = ScriptedSource::new()
        .then_token("test-valid", 3600 * SECOND)
        .then_fail(CredentialError::unavailable("down"));
    let (provider, _) = exact(&source);
    let refused = ask(&*provider).await.unwrap();
    assert!(reject(&*provider, &refused).await.is_err());
    assert!(ask(&*provider).await.is_err());
    advance(SECOND).await;
    assert!(is(&ask(&*provider).await.unwrap(), "test-token-1"));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_has_nothing_else_is_not_asked_in_a_storm() {
    let source = ScriptedSource::new();
    for _ in 0..1000 {
        source.push(Step::Token(
            Token::new("test-same").expires_in(3600 * SECOND),
        ));
    }
    let (provider, _) = exact(&source);
    for _ in 0..200 {
        let same = ask(&*provider).await.unwrap();
        assert_eq!(reject(&*provider, &same).await.unwrap(), Recovery::GiveUp);
    }
    assert_eq!(source.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_everything_makes_no_storm() {
    let source = ScriptedSource::new();
    let (provider, _) = exact(&source);
    let mut given_up = 0;
    for _ in 0..1000 {
        let refused = ask(&*provider).await.unwrap();
        match reject(&*provider, &refused).await.unwrap() {
            Recovery::Retry => {}
            Recovery::GiveUp => given_up += 1,
            other @ Recovery::NeedsAuthorization(_) => panic!("{other:?}"),
        }
    }
    assert!(given_up > 900, "{given_up}");
    assert!(source.calls() <= 70, "{}", source.calls());
}

#[tokio::test(start_paused = true)]
async fn a_refresh_begun_before_the_rejection_does_not_bring_the_token_back() {
    let source = ScriptedSource::new()
        .then_token("test-same", 3600 * SECOND)
        .with_delay(SECOND)
        .then_token("test-same", 3600 * SECOND);
    let (provider, _) = exact(&source);
    let refused = ask(&*provider).await.unwrap();
    advance(3570 * SECOND).await;
    assert!(ask_now(&*provider).is_some());
    settle().await;
    assert_eq!(source.calls(), 2);
    // The early refresh is on its way with what the server refuses now.
    assert_eq!(reject(&*provider, &refused).await.unwrap(), Recovery::Retry);
    assert_eq!(source.calls(), 3);
    assert!(is(&ask_now(&*provider).unwrap(), "test-token-1"));
}

#[tokio::test(start_paused = true)]
async fn a_403_is_not_about_the_token() {
    let source = ScriptedSource::new();
    let (provider, _) = exact(&source);
    let token = ask(&*provider).await.unwrap();
    let told = forbidden(&*provider, &token, "Bearer error=\"access_denied\"").await;
    assert_eq!(told.unwrap(), Recovery::GiveUp);
    assert_eq!(source.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn missing_scopes_are_asked_for_once_and_kept() {
    const MORE: &str = "Bearer error=\"insufficient_scope\", scope=\"read write\"";
    let source = ScriptedSource::new();
    let (provider, diary) = exact(&source);
    let narrow = ask(&*provider).await.unwrap();
    let told = forbidden(&*provider, &narrow, MORE).await.unwrap();
    assert_eq!(told, Recovery::Retry);
    assert_eq!(source.contexts()[1].scopes, ["read", "write"]);
    let wide = ask(&*provider).await.unwrap();
    // The server wants the same again: asking again would change nothing.
    let told = forbidden(&*provider, &wide, MORE).await.unwrap();
    assert_eq!(told, Recovery::GiveUp);
    assert_eq!(source.calls(), 2);
    // A later refresh does not lose them.
    assert_eq!(reject(&*provider, &wide).await.unwrap(), Recovery::Retry);
    assert_eq!(source.contexts()[2].scopes, ["read", "write"]);
    assert_eq!(
        *diary.lock().unwrap(),
        ["first", "scopes", "401", "rejected"]
    );
}

#[tokio::test(start_paused = true)]
async fn refused_scopes_leave_the_token_in_use() {
    let source = ScriptedSource::new()
        .then_token("test-narrow", 3600 * SECOND)
        .then_fail(CredentialError::denied("not for you"));
    let (provider, _) = exact(&source);
    let narrow = ask(&*provider).await.unwrap();
    let error = forbidden(
        &*provider,
        &narrow,
        "Bearer error=insufficient_scope, scope=admin",
    )
    .await
    .unwrap_err();
    assert_eq!(error.to_string(), "not for you");
    assert!(is(&ask_now(&*provider).unwrap(), "test-narrow"));
    // Nor does the refusal hold up an ordinary refresh.
    assert_eq!(reject(&*provider, &narrow).await.unwrap(), Recovery::Retry);
}

#[tokio::test]
async fn a_static_token_is_given_up() {
    let provider = Bearer::new("test-static").unwrap();
    let token = ask(&provider).await.unwrap();
    assert_eq!(reject(&provider, &token).await.unwrap(), Recovery::GiveUp);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_sent_is_an_error_unseen() {
    let bad = Token::new("canary\ntoken").expires_in(3600 * SECOND);
    let source = ScriptedSource::new().then(Step::Token(bad));
    let provider = RefreshingToken::new(source);
    let error = ask(&provider).await.unwrap_err();
    assert!(!error.is_transient());
    assert!(!format!("{error} {error:?}").contains("canary"));
}
