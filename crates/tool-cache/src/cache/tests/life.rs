//! Until when an entry is good.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_shortest_life_counts() {
    let lives = |ttl: Option<u64>, expires: Option<u64>| async move {
        let server = match ttl {
            Some(seconds) => lister().ttl(Duration::from_secs(seconds)),
            None => lister(),
        };
        let server = Arc::new(server);
        let cache = ToolCache::builder().ttl(Duration::from_secs(60)).build();
        let mut credentials = Credentials::builder().bearer("test-token-alice").unwrap();
        if let Some(seconds) = expires {
            credentials = credentials.expires_at(Instant::now() + Duration::from_secs(seconds));
        }
        let credentials = credentials.build().unwrap();
        let context = CallContext::new(who("alice"));
        let made = builder(&server, "alice");
        let load = || cache.get_or_load(&made, &credentials, &context);
        load().await.unwrap();
        let began = Instant::now();
        loop {
            load().await.unwrap();
            if server.lists() > 1 {
                return began.elapsed().as_secs();
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    };
    assert_eq!(lives(None, None).await, 60);
    assert_eq!(lives(Some(10), None).await, 10);
    assert_eq!(lives(Some(600), Some(20)).await, 20);
    assert_eq!(lives(Some(10), Some(20)).await, 10);
    assert_eq!(lives(Some(0), None).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_remembered_briefly() {
    let server = Arc::new(lister());
    server.fail_next_list(unreachable());
    let cache = ToolCache::builder()
        .negative_ttl(Duration::from_secs(2))
        .build();
    assert!(load(&cache, &server, "alice").await.is_err());
    assert!(load(&cache, &server, "alice").await.is_err());
    assert_eq!(server.lists(), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(load(&cache, &server, "alice").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_can_remember_a_failure_for_long() {
    let server = Arc::new(lister());
    for (cache, seconds) in [
        (ToolCache::new(), 1),
        (ToolCache::builder().negative_ttl(Duration::MAX).build(), 60),
    ] {
        server.fail_next_list(unreachable());
        assert!(load(&cache, &server, "alice").await.is_err());
        tokio::time::advance(Duration::from_millis(seconds * 1_000 - 1)).await;
        assert!(load(&cache, &server, "alice").await.is_err());
        assert_eq!(cache.stats().negative_hits, 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(load(&cache, &server, "alice").await.is_ok());
    }
    // A refusal is not remembered at all.
    let cache = ToolCache::new();
    server.fail_next_list(refusal());
    assert!(load(&cache, &server, "alice").await.is_err());
    assert!(load(&cache, &server, "alice").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_layer_above_learns_until_when_and_whether_something_changed() {
    let server = Arc::new(lister().ttl(Duration::from_secs(10)));
    let cache = ToolCache::new();
    let (alice, began) = (who("alice"), Instant::now());
    let (made, credentials) = (builder(&server, "alice"), token("alice"));
    let context = CallContext::new(alice.clone());
    let list = || server.list_tools(&context);
    for _ in 0..2 {
        let (set, until) = cache.get_or_load_until(&made, &credentials, list).await;
        assert!(set.is_ok());
        assert_eq!(until, began + Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(server.lists(), 1);
    let mut known = cache.epoch(&alice);
    assert_eq!(known, cache.epoch(&alice));
    for way in 0..4 {
        match way {
            0 => cache.invalidate_principal(&alice).await,
            1 => cache.invalidate_server(server.id()).await,
            2 => cache.invalidate_all().await,
            _ => {
                cache.invalidate(&CacheKey::of(&made, &credentials)).await;
            }
        }
        assert_ne!(cache.epoch(&alice), known, "way {way}");
        known = cache.epoch(&alice);
    }
}
