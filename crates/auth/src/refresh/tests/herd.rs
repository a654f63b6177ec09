//! E1 and E2: many callers, one refresh.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::advance;

use super::{ask, ask_now, exact, is, reject};
use crate::testing::{Counter, ScriptedSource};
use crate::{Recovery, RefreshingToken};

async fn all<T, F>(callers: usize, make: impl Fn() -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..callers).map(|_| tokio::spawn(make())).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

async fn herd(callers: usize) {
    let source = ScriptedSource::new().with_delay(Duration::from_millis(100));
    let (provider, _) = exact(&source);
    let asked = || {
        let provider = Arc::clone(&provider);
        async move { ask(&*provider).await.unwrap() }
    };
    // Nobody has a token.
    let first = all(callers, asked).await;
    assert_eq!(source.calls(), 1);
    assert!(first.iter().all(|found| is(found, "test-token-1")));
    // The token has ended.
    advance(Duration::from_secs(3600)).await;
    let second = all(callers, asked).await;
    assert_eq!(source.calls(), 2);
    assert!(second.iter().all(|found| is(found, "test-token-2")));
    // Everybody's request was refused.
    let refused = second[0].clone();
    let recoveries = all(callers, || {
        let (provider, refused) = (Arc::clone(&provider), refused.clone());
        async move { reject(&*provider, &refused).await.unwrap() }
    });
    let recoveries = recoveries.await;
    assert!(
        recoveries
            .iter()
            .all(|recovery| *recovery == Recovery::Retry)
    );
    assert_eq!(source.calls(), 3);
    assert!(is(&ask_now(&*provider).unwrap(), "test-token-3"));
}

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_make_one_refresh() {
    herd(200).await;
}

#[tokio::test(start_paused = true)]
async fn five_thousand_callers_make_one_refresh() {
    herd(5000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn many_threads_never_fetch_twice_at_once() {
    let source = Counter::new(ScriptedSource::new());
    let provider = Arc::new(RefreshingToken::new(source.clone()));
    for round in 1..=50 {
        let found = all(100, || {
            let provider = Arc::clone(&provider);
            async move { ask(&*provider).await.unwrap() }
        });
        let refused = found.await.pop().unwrap();
        let recoveries = all(100, || {
            let (provider, refused) = (Arc::clone(&provider), refused.clone());
            async move { reject(&*provider, &refused).await.unwrap() }
        });
        assert!(recoveries.await.iter().all(|told| *told == Recovery::Retry));
        assert_eq!(source.calls(), round + 1);
    }
    assert_eq!(source.peak(), 1);
}
