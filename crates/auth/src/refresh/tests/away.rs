//! A store that does not answer, or has lost what it had.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::{Instant, advance, sleep};

use super::{ask, ask_now, ids, is, reject};
use crate::testing::{Counter, PausedClock, RotatingIssuer, ScriptedSource};
use crate::{
    Changes, CredentialErrorKind, Lease, MaybeReady, MemoryStore, Recovery, RefreshingToken,
    Revision, Save, Saved, StoreError, StoreErrorKind, StorePolicy, StoredToken, TokenKey,
    TokenSource, TokenStore,
};

const SECOND: Duration = Duration::from_secs(1);
const LIFE: Duration = Duration::from_secs(3600);

fn key() -> TokenKey {
    let (server, principal) = ids();
    TokenKey::new(server, principal)
}

fn on(store: &Arc<Remote>, source: impl TokenSource + 'static) -> RefreshingToken {
    RefreshingToken::new(source)
        .jitter(0.0)
        .clock(Arc::new(PausedClock::new(
            std::time::UNIX_EPOCH + 2_000_000_000 * SECOND,
        )))
        .store(Arc::<Remote>::clone(store), key())
}

async fn stored(store: &Remote) -> String {
    let found = store.inner.load(&key()).await.unwrap().unwrap();
    found.token.access().expose_secret().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_refresh_waits_for_the_store_and_then_says_what_is_wrong() {
    let issuer = Counter::new(RotatingIssuer::new(LIFE));
    let store = Arc::new(Remote::default());
    let provider = Arc::new(on(&store, issuer.clone()));
    ask(&*provider).await.unwrap();
    store.away(true);
    // Good until its end, early refresh or not.
    advance(Duration::from_secs(3580)).await;
    for _ in 0..10 {
        assert!(is(&ask_now(&*provider).unwrap(), "test-access-1"));
        sleep(SECOND).await;
    }
    advance(30 * SECOND).await;
    let begun = Instant::now();
    let error = ask(&*provider).await.unwrap_err();
    let clear = error
        .to_string()
        .contains("the token store cannot be reached");
    assert!(clear && error.is_transient(), "{error:?}");
    assert!(begun.elapsed() <= 31 * SECOND, "{:?}", begun.elapsed());
    // Back while somebody waits.
    sleep(SECOND).await;
    let asking = {
        let provider = Arc::clone(&provider);
        tokio::spawn(async move { ask(&*provider).await })
    };
    sleep(5 * SECOND).await;
    store.away(false);
    let begun = Instant::now();
    assert!(is(&asking.await.unwrap().unwrap(), "test-access-2"));
    assert!(begun.elapsed() <= 2 * SECOND, "{:?}", begun.elapsed());
    assert_eq!(issuer.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn going_on_alone_is_a_choice_where_refresh_tokens_rotate() {
    let issuer = RotatingIssuer::new(LIFE);
    let store = Arc::new(Remote::default());
    let provider = on(&store, issuer.clone()).store_policy(StorePolicy::RefreshAlone);
    ask(&provider).await.unwrap();
    store.away(true);
    advance(LIFE).await;
    assert!(is(&ask(&provider).await.unwrap(), "test-access-2"));
    advance(LIFE).await;
    assert!(is(&ask(&provider).await.unwrap(), "test-access-3"));
    assert_eq!(stored(&store).await, "test-access-1");
    // Nobody has to ask for it to be stored.
    store.away(false);
    sleep(2 * SECOND).await;
    assert_eq!(stored(&store).await, "test-access-3");
    let other = on(&store, issuer.clone());
    assert!(is(&ask(&other).await.unwrap(), "test-access-3"));
    assert_eq!((issuer.issued(), issuer.reused()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_fetch_received_before_it_was_cut_off_is_used_and_stored() {
    let issuer = RotatingIssuer::new(LIFE);
    let store = Arc::new(Remote::default());
    let provider = on(&store, issuer.clone()).fetch_deadline(5 * SECOND);
    store.hanging.store(true, Ordering::SeqCst);
    assert!(ask(&provider).await.unwrap_err().is_transient());
    store.away(true);
    sleep(60 * SECOND).await;
    assert!(is(&ask(&provider).await.unwrap(), "test-access-1"));
    // Whoever has the provider may give it up, and nobody asks.
    drop(provider);
    store.hanging.store(false, Ordering::SeqCst);
    store.away(false);
    sleep(60 * SECOND).await;
    assert_eq!(stored(&store).await, "test-access-1");
    assert_eq!((issuer.issued(), issuer.reused()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_is_not_met_by_everybody_at_once() {
    let store = Arc::new(Remote::default());
    let mut all = Vec::new();
    for _ in 0..100 {
        let provider = on(&store, RotatingIssuer::new(LIFE));
        all.push(provider.store_policy(StorePolicy::RefreshAlone));
    }
    for provider in &all {
        store.inner.delete(&key()).await.unwrap();
        ask(provider).await.unwrap();
    }
    store.away(true);
    advance(LIFE).await;
    for provider in &all {
        ask(provider).await.unwrap();
    }
    sleep(10 * SECOND).await;
    let most = store.most.load(Ordering::SeqCst);
    assert!((2..=16).contains(&most), "{most}");
}

#[tokio::test(start_paused = true)]
async fn a_logout_elsewhere_meanwhile_is_not_undone() {
    let issuer = RotatingIssuer::new(LIFE);
    let store = Arc::new(Remote::default());
    let provider = on(&store, issuer.clone()).store_policy(StorePolicy::RefreshAlone);
    let held = ask(&provider).await.unwrap();
    store.away(true);
    assert_eq!(reject(&provider, &held).await.unwrap(), Recovery::Retry);
    store.inner.delete(&key()).await.unwrap();
    store.away(false);
    sleep(5 * SECOND).await;
    assert!(store.inner.load(&key()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_rotate_needs_no_store() {
    let source = ScriptedSource::new();
    let store = Arc::new(Remote::default());
    let provider = on(&store, source.clone());
    ask(&provider).await.unwrap();
    store.away(true);
    for number in 2..=3 {
        advance(LIFE).await;
        let found = ask(&provider).await.unwrap();
        assert!(is(&found, &format!("test-token-{number}")));
    }
    store.away(false);
    advance(LIFE).await;
    assert!(is(&ask(&provider).await.unwrap(), "test-token-4"));
    assert_eq!(stored(&store).await, "test-token-4");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_goes_away_during_the_exchange_gets_the_token_later() {
    let issuer = RotatingIssuer::new(LIFE).with_delay(SECOND);
    let store = Arc::new(Remote::default());
    let provider = Arc::new(on(&store, issuer.clone()));
    ask(&*provider).await.unwrap();
    advance(LIFE).await;
    let asking = {
        let provider = Arc::clone(&provider);
        tokio::spawn(async move { ask(&*provider).await })
    };
    sleep(SECOND).await;
    store.away(true);
    assert!(is(&asking.await.unwrap().unwrap(), "test-access-2"));
    // The replica may even give up the token; whoever stores it goes on.
    drop(provider);
    store.away(false);
    sleep(2 * SECOND).await;
    assert_eq!(stored(&store).await, "test-access-2");
    assert_eq!((issuer.issued(), issuer.reused()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_lost_a_token_gets_it_back_while_it_is_good() {
    let issuer = RotatingIssuer::new(LIFE);
    let store = Arc::new(Remote::default());
    let provider = on(&store, issuer.clone());
    let held = ask(&provider).await.unwrap();
    store.inner.delete(&key()).await.unwrap();
    store.lost.store(true, Ordering::SeqCst);
    assert_eq!(reject(&provider, &held).await.unwrap(), Recovery::Retry);
    store.lost.store(false, Ordering::SeqCst);
    assert_eq!(stored(&store).await, "test-access-2");
    assert_eq!((issuer.issued(), issuer.reused()), (2, 0));
    // One that has ended may have been followed by another, elsewhere.
    store.inner.delete(&key()).await.unwrap();
    store.lost.store(true, Ordering::SeqCst);
    advance(LIFE).await;
    let error = ask(&provider).await.unwrap_err();
    let needed = matches!(error.kind(), CredentialErrorKind::NeedsAuthorization(_));
    assert!(needed, "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_known_to_be_lost_is_no_ground_to_ask_the_source() {
    let issuer = Counter::new(RotatingIssuer::new(LIFE));
    let store = Arc::new(Remote::default());
    store.stale.store(true, Ordering::SeqCst);
    let provider = Arc::new(on(&store, issuer.clone()));
    let asking = {
        let provider = Arc::clone(&provider);
        tokio::spawn(async move { ask(&*provider).await })
    };
    sleep(5 * SECOND).await;
    assert_eq!(issuer.calls(), 0);
    store.stale.store(false, Ordering::SeqCst);
    asking.await.unwrap().unwrap();
    assert_eq!(issuer.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_another_hears_of_the_token_at_once() {
    let issuer = RotatingIssuer::new(LIFE).with_delay(5 * SECOND);
    let store = Arc::new(Remote::default());
    let (one, other) = (on(&store, issuer.clone()), on(&store, issuer.clone()));
    let begun = Instant::now();
    let (found, also) = tokio::join!(ask(&one), ask(&other));
    assert_eq!(found.unwrap(), also.unwrap());
    // The store's word, not the next look: the looks are a second apart.
    assert!(
        begun.elapsed() < 10 * SECOND + SECOND / 50,
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(issuer.issued(), 1);
}

/// A store that is somewhere else.
#[derive(Debug, Default)]
struct Remote {
    inner: MemoryStore,
    away: AtomicBool,
    lost: AtomicBool,
    /// Its leases are lost by the time they arrive.
    stale: AtomicBool,
    /// It takes what is to be stored, and says nothing.
    hanging: AtomicBool,
    /// How many ask for a lease while it is away, which it says slowly, now and at most.
    asking: AtomicUsize,
    most: AtomicUsize,
}

impl Remote {
    fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn there(&self) -> Result<(), StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unreachable, "no answer"));
        }
        Ok(())
    }
}

impl TokenStore for Remote {
    fn load<'a>(
        &'a self,
        key: &'a TokenKey,
    ) -> MaybeReady<'a, Result<Option<StoredToken>, StoreError>> {
        match self.there() {
            Ok(()) => self.inner.load(key),
            Err(error) => MaybeReady::ready(Err(error)),
        }
    }

    fn save<'a>(
        &'a self,
        key: &'a TokenKey,
        save: Save<'a>,
    ) -> MaybeReady<'a, Result<Saved, StoreError>> {
        match self.there() {
            Ok(()) if self.hanging.load(Ordering::SeqCst) => MaybeReady::new(pending()),
            Ok(()) => self.inner.save(key, save),
            Err(error) => MaybeReady::ready(Err(error)),
        }
    }

    fn delete<'a>(&'a self, key: &'a TokenKey) -> MaybeReady<'a, Result<bool, StoreError>> {
        match self.there() {
            Ok(()) => self.inner.delete(key),
            Err(error) => MaybeReady::ready(Err(error)),
        }
    }

    fn lease<'a>(
        &'a self,
        key: &'a TokenKey,
        life: Duration,
    ) -> MaybeReady<'a, Result<Option<Lease>, StoreError>> {
        if let Err(error) = self.there() {
            return MaybeReady::new(async move {
                let asking = self.asking.fetch_add(1, Ordering::SeqCst) + 1;
                self.most.fetch_max(asking, Ordering::SeqCst);
                sleep(SECOND / 10).await;
                self.asking.fetch_sub(1, Ordering::SeqCst);
                Err(error)
            });
        }
        let stale = self.stale.load(Ordering::SeqCst);
        let lease = self.inner.lease(key, life).now().unwrap();
        MaybeReady::ready(lease.map(|lease| lease.map(|lease| lease.with_check(move || !stale))))
    }

    fn has_lost<'a>(
        &'a self,
        _: &'a TokenKey,
        _: Revision,
        _: Option<Revision>,
    ) -> MaybeReady<'a, Result<bool, StoreError>> {
        MaybeReady::ready(Ok(self.lost.load(Ordering::SeqCst)))
    }

    fn changes<'a>(&'a self, key: &'a TokenKey) -> MaybeReady<'a, Changes> {
        self.inner.changes(key)
    }
}
