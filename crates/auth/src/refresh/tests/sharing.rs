//! E3: several caches on one store, one refresh between them; tokens stored before they are used.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::{advance, sleep};

use super::{ask, ask_now, exact, ids, is, reject};
use crate::testing::{PausedClock, RotatingIssuer, ScriptedSource, ScriptedStore, StoreCall};
use crate::{
    CredentialErrorKind, Expected, MaybeReady, MemoryStore, Recovery, RefreshingToken, Save,
    StoreError, StoreErrorKind, Token, TokenKey, TokenStore,
};

const SECOND: Duration = Duration::from_secs(1);

fn key() -> TokenKey {
    let (server, principal) = ids();
    TokenKey::new(server, principal)
}

fn sharing(issuer: &RotatingIssuer, store: &Arc<MemoryStore>) -> RefreshingToken {
    RefreshingToken::new(issuer.clone())
        .jitter(0.0)
        .clock(Arc::new(clock()))
        .store(Arc::<MemoryStore>::clone(store), key())
}

/// Calendar time that moves with tokio's: caches made at different times agree on it.
fn clock() -> PausedClock {
    static BEGUN: OnceLock<tokio::time::Instant> = OnceLock::new();
    let passed = BEGUN.get_or_init(tokio::time::Instant::now).elapsed();
    PausedClock::new(std::time::UNIX_EPOCH + 2_000_000_000 * SECOND + passed)
}

#[tokio::test(start_paused = true)]
async fn twenty_caches_refresh_once_between_them() {
    let issuer = RotatingIssuer::new(3600 * SECOND).with_delay(SECOND / 2);
    let store = Arc::new(MemoryStore::new());
    let caches: Vec<_> = (0..20)
        .map(|_| Arc::new(sharing(&issuer, &store)))
        .collect();
    for round in 1..=5 {
        let asking: Vec<_> = caches
            .iter()
            .map(|cache| {
                let cache = Arc::clone(cache);
                tokio::spawn(async move { ask(&*cache).await.unwrap() })
            })
            .collect();
        for asked in asking {
            assert!(is(&asked.await.unwrap(), &format!("test-access-{round}")));
        }
        assert_eq!((issuer.issued(), issuer.reused()), (round, 0));
        advance(3600 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_whose_token_was_refused_adopts_what_another_has_fetched() {
    let issuer = RotatingIssuer::new(3600 * SECOND);
    let store = Arc::new(MemoryStore::new());
    let (one, other) = (sharing(&issuer, &store), sharing(&issuer, &store));
    let old = ask(&one).await.unwrap();
    assert_eq!(ask(&other).await.unwrap(), old);
    assert_eq!(reject(&one, &old).await.unwrap(), Recovery::Retry);
    assert_eq!(reject(&other, &old).await.unwrap(), Recovery::Retry);
    assert!(is(&ask(&other).await.unwrap(), "test-access-2"));
    assert_eq!((issuer.issued(), issuer.reused()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_not_adopted_again() {
    let issuer = RotatingIssuer::new(3600 * SECOND);
    let store = Arc::new(MemoryStore::new());
    let provider = sharing(&issuer, &store);
    let refused = ask(&provider).await.unwrap();
    // Somebody writes the same token once more.
    let found = store.load(&key()).await.unwrap().unwrap();
    let again = Save::new(&found.token, found.obtained_at);
    store.save(&key(), again).await.unwrap();
    assert_eq!(reject(&provider, &refused).await.unwrap(), Recovery::Retry);
    assert!(is(&ask(&provider).await.unwrap(), "test-access-2"));
    assert_eq!((issuer.issued(), issuer.reused()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_new_process_begins_with_the_stored_token() {
    let issuer = RotatingIssuer::new(3600 * SECOND);
    let store = Arc::new(MemoryStore::new());
    ask(&sharing(&issuer, &store)).await.unwrap();
    let next = sharing(&issuer, &store);
    assert!(is(&ask(&next).await.unwrap(), "test-access-1"));
    assert_eq!(issuer.issued(), 1);
    // A stored token that has ended is refreshed with its refresh token.
    advance(3600 * SECOND).await;
    let last = sharing(&issuer, &store);
    assert!(is(&ask(&last).await.unwrap(), "test-access-2"));
    assert_eq!(issuer.reused(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_logout_elsewhere_is_not_undone_by_a_refresh() {
    let issuer = RotatingIssuer::new(3600 * SECOND).with_delay(SECOND);
    let store = Arc::new(MemoryStore::new());
    let provider = Arc::new(sharing(&issuer, &store));
    ask(&*provider).await.unwrap();
    advance(3600 * SECOND).await;
    let asking = {
        let provider = Arc::clone(&provider);
        tokio::spawn(async move { ask(&*provider).await })
    };
    sleep(SECOND).await;
    assert!(store.delete(&key()).await.unwrap());
    let error = asking.await.unwrap().unwrap_err();
    let needed = matches!(error.kind(), CredentialErrorKind::NeedsAuthorization(_));
    assert!(needed, "{error:?}");
    assert!(store.load(&key()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_login_elsewhere_during_a_refresh_wins() {
    let issuer = RotatingIssuer::new(3600 * SECOND).with_delay(SECOND);
    let store = Arc::new(MemoryStore::new());
    let provider = Arc::new(sharing(&issuer, &store));
    ask(&*provider).await.unwrap();
    advance(3600 * SECOND).await;
    let asking = {
        let provider = Arc::clone(&provider);
        tokio::spawn(async move { ask(&*provider).await })
    };
    sleep(SECOND).await;
    let login = Token::new("test-login").expires_in(3600 * SECOND);
    let other = sharing(&issuer, &store);
    other.replace(login).await.unwrap();
    assert!(is(&asking.await.unwrap().unwrap(), "test-login"));
}

#[tokio::test(start_paused = true)]
async fn a_rotated_token_is_stored_before_it_is_used_and_never_lost() {
    let issuer = RotatingIssuer::new(3600 * SECOND);
    let failures = Arc::default();
    let store = Arc::new(failing(&failures));
    let provider = RefreshingToken::new(issuer.clone())
        .jitter(0.0)
        .clock(Arc::new(clock()))
        .store(Arc::<ScriptedStore>::clone(&store), key());
    ask(&provider).await.unwrap();
    advance(3600 * SECOND).await;
    // A passing failure is tried again.
    failures.store(2, Ordering::SeqCst);
    assert!(is(&ask(&provider).await.unwrap(), "test-access-2"));
    advance(3600 * SECOND).await;
    // A lasting one keeps the token from being used, and keeps the token.
    failures.store(4, Ordering::SeqCst);
    assert!(ask(&provider).await.unwrap_err().is_transient());
    assert_eq!(issuer.issued(), 3);
    advance(SECOND).await;
    assert!(is(&ask(&provider).await.unwrap(), "test-access-3"));
    assert_eq!((issuer.issued(), issuer.reused()), (3, 0));
    let kept = store.load(&key()).await.unwrap().unwrap();
    assert_eq!(kept.token.access().expose_secret(), "test-access-3");
    // The same while the token before is still good: it is not mistaken for news.
    advance(3570 * SECOND).await;
    failures.store(4, Ordering::SeqCst);
    assert!(is(&ask_now(&provider).unwrap(), "test-access-3"));
    sleep(2 * SECOND).await;
    assert!(is(&ask_now(&provider).unwrap(), "test-access-3"));
    sleep(SECOND).await;
    assert!(is(&ask_now(&provider).unwrap(), "test-access-4"));
    assert_eq!((issuer.issued(), issuer.reused()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_hangs_is_passed_over_when_its_lease_ends() {
    let issuer = RotatingIssuer::new(3600 * SECOND);
    let store = Arc::new(MemoryStore::new());
    let provider = sharing(&issuer, &store);
    ask(&provider).await.unwrap();
    advance(3600 * SECOND).await;
    let hung = store.lease(&key(), 10 * SECOND).await.unwrap().unwrap();
    assert!(is(&ask(&provider).await.unwrap(), "test-access-2"));
    // It wakes up and tries to save what it has.
    let stale = Token::new("test-stale");
    let (found, wall) = (
        store.load(&key()).await.unwrap().unwrap(),
        std::time::UNIX_EPOCH,
    );
    let save = Save::new(&stale, wall)
        .expecting(Expected::Revision(found.revision))
        .under(&hung);
    let error = store.save(&key(), save).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::LeaseLost);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_the_refresh_token_is_kept_when_the_next_has_none() {
    let first = Token::new("test-one")
        .with_refresh_token("test-refresh")
        .expires_in(60 * SECOND);
    let source = ScriptedSource::new().then(crate::testing::Step::Token(first));
    let (provider, _) = exact(&source);
    for _ in 0..3 {
        ask(&*provider).await.unwrap();
        assert!(ask_now(&*provider).is_some());
        advance(3600 * SECOND).await;
    }
    let contexts = source.contexts();
    assert!(contexts[0].previous.is_none());
    for context in &contexts[1..] {
        let previous = context.previous.as_ref().unwrap();
        assert_eq!(
            previous.refresh_token().unwrap().expose_secret(),
            "test-refresh"
        );
    }
}

/// A store whose next saves fail, so many of them.
fn failing(failures: &Arc<AtomicU32>) -> ScriptedStore {
    let failures = Arc::clone(failures);
    ScriptedStore::new(move |call| {
        let one_less = |left: u32| left.checked_sub(1);
        let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
        let fails = matches!(call, StoreCall::Save(..))
            && failures.fetch_update(set, fetch, one_less).is_ok();
        MaybeReady::ready(if fails {
            Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "the disk is full",
            ))
        } else {
            Ok(())
        })
    })
}
