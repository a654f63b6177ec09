//! E4: callers that go away lose their wait and nothing else.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{advance, sleep};

use super::{ask, exact, ids, reject, settle};
use crate::testing::{Counter, PausedClock, RotatingIssuer, ScriptedSource};
use crate::{
    CredentialProvider, CredentialRequest, MemoryStore, RefreshingToken, TokenKey, TokenStore,
};

#[tokio::test(start_paused = true)]
async fn the_refresh_outlives_the_caller_that_began_it() {
    let source = ScriptedSource::new().with_delay(Duration::from_secs(1));
    let (provider, diary) = exact(&source);
    let leader = Arc::clone(&provider);
    let leader = tokio::spawn(async move { ask(&*leader).await });
    settle().await;
    let follower = Arc::clone(&provider);
    let follower = tokio::spawn(async move { ask(&*follower).await });
    settle().await;
    leader.abort();
    assert!(follower.await.unwrap().is_ok());
    assert_eq!(source.calls(), 1);

    // Nobody waits at all: it ends all the same.
    advance(Duration::from_secs(3600)).await;
    let alone = Arc::clone(&provider);
    let alone = tokio::spawn(async move { ask(&*alone).await });
    settle().await;
    alone.abort();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(*diary.lock().unwrap(), ["first", "expired"]);
    assert!(super::ask_now(&*provider).is_some());
}

#[tokio::test(start_paused = true)]
async fn constructing_and_dropping_starts_nothing() {
    let source = ScriptedSource::new();
    let (provider, _) = exact(&source);
    {
        let (server, principal) = ids();
        let request = CredentialRequest::new(&server, &principal);
        // Made and never polled.
        drop(provider.credentials(request));
    }
    settle().await;
    drop(provider);
    settle().await;
    assert_eq!(source.calls(), 0);
    assert_eq!(
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks(),
        0
    );
}

/// Ten thousand callers, each cancelled at a random moment, against an issuer whose refresh tokens
/// work once: if a single rotation were lost or doubled, the grant would be gone.
#[tokio::test(start_paused = true)]
async fn ten_thousand_random_cancellations_lose_no_rotation() {
    for (seed, stored) in [(1, false), (2, true), (3, false), (4, true)] {
        storm(seed, stored, 2500).await;
    }
}

async fn storm(seed: u64, stored: bool, callers: usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let issuer = RotatingIssuer::new(Duration::from_secs(10)).with_delay(Duration::from_millis(40));
    let counter = Counter::new(issuer.clone());
    let (server, principal) = ids();
    let key = TokenKey::new(server, principal);
    let store = Arc::new(MemoryStore::new());
    let clock = PausedClock::new(std::time::UNIX_EPOCH + Duration::from_secs(2_000_000_000));
    let mut provider = RefreshingToken::new(counter.clone()).clock(Arc::new(clock));
    if stored {
        provider = provider.store(Arc::<MemoryStore>::clone(&store), key.clone());
    }
    let provider = Arc::new(provider);
    let mut running = Vec::new();
    for _ in 0..callers {
        let caller = Arc::clone(&provider);
        let refuse = random.u8(..) < 40;
        let task = tokio::spawn(async move {
            let found = ask(&*caller).await;
            if let (true, Ok(found)) = (refuse, found) {
                let _ = reject(&*caller, &found).await;
            }
        });
        running.push(task);
        let pause = Duration::from_micros(random.u64(0..120_000));
        sleep(pause).await;
        // Cancel some of those that run, the one just begun more often than not.
        if random.bool() {
            let index = running.len() - 1;
            running.swap_remove(index).abort();
        }
        if running.len() > 8 {
            let index = random.usize(..running.len());
            running.swap_remove(index).abort();
        }
    }
    drop(running);
    sleep(Duration::from_secs(5)).await;
    let last = ask(&*provider).await.expect("the grant is still there");
    assert_eq!(issuer.reused(), 0, "seed {seed}");
    assert_eq!(counter.peak(), 1);
    assert!(issuer.issued() > 20, "{} rotations", issuer.issued());
    let latest = last.headers()[0].1.to_str().unwrap();
    assert!(issuer.is_latest(latest.trim_start_matches("Bearer ")));
    if stored {
        use secrecy::ExposeSecret;
        let kept = store.load(&key).await.unwrap().unwrap();
        assert!(issuer.is_latest(kept.token.access().expose_secret()));
    }
}
