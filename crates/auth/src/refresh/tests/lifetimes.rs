//! Early refresh, odd lifetimes (E8) and clocks that jump (E9).

use std::time::{Duration, SystemTime};

use tokio::time::advance;

use super::{ask, ask_now, exact, is, settle};
use crate::testing::{ManualClock, ScriptedSource, Step};
use crate::{Expiry, RefreshingToken, Token};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_token_is_refreshed_early_while_calls_go_on() {
    let source = ScriptedSource::new().with_delay(SECOND);
    let (provider, diary) = exact(&source);
    ask(&*provider).await.unwrap();
    advance(3569 * SECOND).await;
    assert!(is(&ask_now(&*provider).unwrap(), "test-token-1"));
    settle().await;
    assert_eq!(source.calls(), 1);
    advance(SECOND).await;
    // In the early window: the old one is given at once, one refresh begins.
    for _ in 0..100 {
        assert!(is(&ask_now(&*provider).unwrap(), "test-token-1"));
    }
    settle().await;
    assert_eq!(source.calls(), 2);
    advance(SECOND).await;
    settle().await;
    assert!(is(&ask_now(&*provider).unwrap(), "test-token-2"));
    assert_eq!(*diary.lock().unwrap(), ["first", "early"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_about_to_end_is_not_sent() {
    let source = ScriptedSource::new();
    let (provider, diary) = exact(&source);
    ask(&*provider).await.unwrap();
    advance(3595 * SECOND).await;
    assert!(ask_now(&*provider).is_none());
    assert!(is(&ask(&*provider).await.unwrap(), "test-token-2"));
    assert_eq!(*diary.lock().unwrap(), ["first", "expired"]);
}

#[tokio::test(start_paused = true)]
async fn chance_spreads_the_early_refresh_within_its_share() {
    let mut begun = Vec::new();
    for _ in 0..40 {
        let source = ScriptedSource::new();
        let provider = RefreshingToken::new(source.clone());
        ask(&provider).await.unwrap();
        let mut passed = 3600.0 - 38.0;
        advance(Duration::from_secs_f64(passed)).await;
        while source.calls() == 1 {
            assert!(ask_now(&provider).is_some());
            settle().await;
            advance(SECOND / 4).await;
            passed += 0.25;
        }
        begun.push(passed);
    }
    assert!(
        begun.iter().all(|at| (3562.5..=3570.5).contains(at)),
        "{begun:?}"
    );
    let spread = begun.iter().fold(f64::MIN, |a, b| a.max(*b))
        - begun.iter().fold(f64::MAX, |a, b| a.min(*b));
    assert!(spread > 1.0, "{begun:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_end_is_not_for_ever() {
    let source = ScriptedSource::new().then(Step::Token(Token::new("test-unknown")));
    let provider = RefreshingToken::new(source.clone())
        .jitter(0.0)
        .default_lifetime(100 * SECOND);
    ask(&provider).await.unwrap();
    advance(70 * SECOND).await;
    assert!(is(&ask_now(&provider).unwrap(), "test-unknown"));
    advance(25 * SECOND).await;
    assert!(is(&ask(&provider).await.unwrap(), "test-token-1"));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_never_ends_is_kept() {
    let endless = Token::new("test-endless").with_expiry(Expiry::Never);
    let source = ScriptedSource::new().then(Step::Token(endless));
    let provider = RefreshingToken::new(source.clone());
    assert_eq!(ask(&provider).await.unwrap().expires_at(), None);
    advance(Duration::from_secs(100 * 366 * 86_400)).await;
    assert!(is(&ask_now(&provider).unwrap(), "test-endless"));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_ended_on_arrival_is_not_sent_and_makes_no_storm() {
    for expiry in ["0", "-3600", "\"-1\""] {
        let ended = Token::new("test-ended").with_expiry(Expiry::from_expires_in(expiry));
        let source = ScriptedSource::new().then(Step::Token(ended));
        let (provider, _) = exact(&source);
        let error = ask(&*provider).await.unwrap_err();
        assert!(error.is_transient());
        for _ in 0..1000 {
            assert!(ask(&*provider).await.is_err());
        }
        assert_eq!(source.calls(), 1);
        advance(SECOND).await;
        assert!(is(&ask(&*provider).await.unwrap(), "test-token-1"));
    }
}

#[tokio::test(start_paused = true)]
async fn lifetimes_of_a_moment_and_of_an_age() {
    let age = Token::new("test-age").with_expiry(Expiry::from_expires_in("1e12"));
    let source = ScriptedSource::new()
        .then_token("test-moment", SECOND / 10)
        .then(Step::Token(age));
    let (provider, _) = exact(&source);
    assert!(is(&ask(&*provider).await.unwrap(), "test-moment"));
    assert!(ask_now(&*provider).is_some());
    advance(SECOND / 10).await;
    assert!(is(&ask(&*provider).await.unwrap(), "test-age"));
    advance(Duration::from_secs(364 * 86_400)).await;
    assert!(ask_now(&*provider).is_some());
    assert_eq!(source.calls(), 2);
}

#[tokio::test]
async fn a_wall_clock_that_jumps_changes_nothing() {
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    let clock = ManualClock::new(noon);
    let dated = Token::new("test-dated").with_expiry(Expiry::At(noon + 600 * SECOND));
    let source = ScriptedSource::new().then(Step::Token(dated));
    let provider = RefreshingToken::new(source.clone())
        .jitter(0.0)
        .clock(clock.shared());
    ask(&provider).await.unwrap();
    for jump in [
        noon + 3600 * SECOND,
        noon - 3600 * SECOND,
        SystemTime::UNIX_EPOCH,
    ] {
        clock.set_wall(jump);
        for _ in 0..1000 {
            assert!(is(&ask_now(&provider).unwrap(), "test-dated"));
        }
        settle().await;
        assert_eq!(source.calls(), 1);
    }
    // Its ten minutes are over, whatever the wall says.
    clock.set_wall(noon - 3600 * SECOND);
    clock.advance(600 * SECOND);
    assert!(is(&ask(&provider).await.unwrap(), "test-token-1"));
    assert_eq!(source.calls(), 2);
}
