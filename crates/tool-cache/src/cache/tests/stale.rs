//! What is stale is given while it is refreshed, within bounds.

use super::*;

fn lenient() -> ToolCache {
    ToolCache::builder()
        .ttl(10 * SECOND)
        .stale_while_revalidate(100 * SECOND)
        .build()
}

/// Lets tasks of the cache run until the server has been asked so often and has answered.
async fn refreshed(server: &FakeServer, lists: usize) {
    while server.lists() < lists {
        tokio::task::yield_now().await;
    }
    settled().await;
}

#[tokio::test(start_paused = true)]
async fn one_refresh_runs_behind_those_who_are_served() {
    let (cache, server) = (lenient(), Arc::new(lister()));
    load(&cache, &server, "alice").await.unwrap();
    tokio::time::advance(11 * SECOND).await;
    for _ in 0..50 {
        load(&cache, &server, "alice").await.unwrap();
    }
    refreshed(&server, 2).await;
    load(&cache, &server, "alice").await.unwrap();
    let stats = cache.stats();
    assert_eq!(server.lists(), 2);
    assert_eq!((stats.stale, stats.refreshes, stats.hits), (50, 1, 1));
    // Past the grace everybody waits again.
    tokio::time::advance(111 * SECOND).await;
    load(&cache, &server, "alice").await.unwrap();
    assert_eq!((server.lists(), cache.stats().stale), (3, 50));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_is_tried_again_after_a_pause() {
    let (cache, server) = (lenient(), Arc::new(lister()));
    load(&cache, &server, "alice").await.unwrap();
    tokio::time::advance(11 * SECOND).await;
    server.fail_next_list(unreachable());
    load(&cache, &server, "alice").await.unwrap();
    refreshed(&server, 2).await;
    load(&cache, &server, "alice").await.unwrap();
    refreshed(&server, 2).await;
    assert_eq!(server.lists(), 2);
    tokio::time::advance(5 * SECOND).await;
    load(&cache, &server, "alice").await.unwrap();
    refreshed(&server, 3).await;
    load(&cache, &server, "alice").await.unwrap();
    assert_eq!((server.lists(), cache.stats().hits), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_refused_takes_the_set_away() {
    let (cache, server) = (lenient(), Arc::new(lister()));
    load(&cache, &server, "alice").await.unwrap();
    tokio::time::advance(11 * SECOND).await;
    server.fail_next_list(refusal());
    load(&cache, &server, "alice").await.unwrap();
    refreshed(&server, 2).await;
    assert_eq!(cache.stats().invalidations, 1);
    load(&cache, &server, "alice").await.unwrap();
    assert_eq!((server.lists(), cache.stats().stale), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_outlives_its_credentials_or_what_is_never_fresh() {
    let (cache, server) = (lenient(), Arc::new(lister()));
    let made = builder(&server, "alice");
    let context = CallContext::new(who("alice"));
    let short = Credentials::builder().bearer("test-token-alice").unwrap();
    let short = short.expires_at(Instant::now() + 15 * SECOND);
    let short = short.build().unwrap();
    let load_it = || cache.get_or_load(&made, &short, &context);
    load_it().await.unwrap();
    tokio::time::advance(16 * SECOND).await;
    load_it().await.unwrap();
    assert_eq!((server.lists(), cache.stats().stale), (2, 0));

    let never = Arc::new(lister().ttl(Duration::ZERO));
    let cache = lenient();
    load(&cache, &never, "alice").await.unwrap();
    load(&cache, &never, "alice").await.unwrap();
    assert_eq!((never.lists(), cache.stats().stale), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_reaches_a_refresh_under_way() {
    let server = Arc::new(lister().holding_lists_after(1));
    let cache = lenient();
    load(&cache, &server, "alice").await.unwrap();
    tokio::time::advance(11 * SECOND).await;
    load(&cache, &server, "alice").await.unwrap();
    refreshed(&server, 2).await;
    cache.invalidate_principal(&who("alice")).await;
    server.let_through(1);
    refreshed(&server, 2).await;
    let made = builder(&server, "alice");
    assert!(cache.get(&made, &token("alice")).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn refreshes_are_few_and_end_with_the_cache() {
    let server = Arc::new(lister().holding_lists_after(40));
    let cache = lenient();
    let users: Vec<_> = (0..40).map(|n| format!("user{n}")).collect();
    for user in &users {
        load(&cache, &server, user).await.unwrap();
    }
    tokio::time::advance(11 * SECOND).await;
    for user in &users {
        load(&cache, &server, user).await.unwrap();
    }
    refreshed(&server, 40 + 16).await;
    assert_eq!((server.lists(), cache.stats().stale), (40 + 16, 40));
    let store = Arc::downgrade(&cache.store);
    drop(cache);
    refreshed(&server, 40 + 16).await;
    assert!(store.upgrade().is_none(), "a task still holds the store");
}
