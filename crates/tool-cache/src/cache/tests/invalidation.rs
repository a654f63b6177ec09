//! What an invalidation takes, and what it leaves.

use super::*;

#[tokio::test]
async fn a_load_in_flight_at_an_invalidation_is_not_kept() {
    for by in 0..5 {
        let server = Arc::new(lister().public().holding_lists_after(0));
        let cache = ToolCache::new();
        let (loaded, ()) = tokio::join!(load(&cache, &server, "alice"), async {
            tokio::task::yield_now().await;
            assert_eq!(server.lists(), 1);
            let (alice, id) = (who("alice"), server_id());
            match by {
                0 => cache.invalidate_principal(&alice).await,
                1 => cache.invalidate_principal_at(&alice, &id).await,
                2 => cache.invalidate_server(&id).await,
                3 => cache.invalidate_all().await,
                _ => {
                    let print = token("alice").fingerprint();
                    cache.invalidate(&CacheKey::new(id, alice, print)).await;
                }
            }
            server.let_through(1);
        });
        assert!(loaded.is_ok());
        server.let_through(1);
        assert!(load(&cache, &server, "alice").await.is_ok());
        assert_eq!(server.lists(), 2, "way {by}");
    }
}

#[tokio::test]
async fn an_invalidation_takes_what_it_names() {
    let (cache, server) = (ToolCache::new(), Arc::new(lister()));
    for name in ["alice", "bob"] {
        load(&cache, &server, name).await.unwrap();
    }
    cache.invalidate_principal(&who("alice")).await;
    load(&cache, &server, "bob").await.unwrap();
    assert_eq!(server.lists(), 2);
    load(&cache, &server, "alice").await.unwrap();
    assert_eq!(server.lists(), 3);
    cache
        .invalidate_principal_at(&who("bob"), &ServerId::new("elsewhere").unwrap())
        .await;
    load(&cache, &server, "bob").await.unwrap();
    assert_eq!(server.lists(), 3);
    cache.invalidate_server(&server_id()).await;
    for name in ["alice", "bob"] {
        load(&cache, &server, name).await.unwrap();
    }
    assert_eq!(server.lists(), 5);
}

#[tokio::test]
async fn a_refused_call_takes_what_its_user_has_there() {
    let (cache, server) = (ToolCache::new(), Arc::new(lister()));
    let context = CallContext::new(who("alice"));
    let watched = builder(&server, "alice").middleware(cache.watch());
    load(&cache, &server, "bob").await.unwrap();
    let reader = token("alice-reader");
    for credentials in [&token("alice"), &reader] {
        let set = cache.get_or_load(&watched, credentials, &context).await;
        set.unwrap().iter().next().unwrap().call(()).await.unwrap();
    }
    assert!(cache.get(&watched, &token("alice")).await.is_some());
    server.fail_next_call(refusal());
    let set = cache.get(&watched, &reader).await.unwrap();
    let error = set.iter().next().unwrap().call(()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    for credentials in [&token("alice"), &reader] {
        assert!(cache.get(&watched, credentials).await.is_none());
    }
    assert_eq!(cache.stats().invalidations, 2);
    load(&cache, &server, "bob").await.unwrap();
    assert_eq!(server.lists(), 3);
}

#[tokio::test]
async fn a_refused_list_takes_what_its_user_has_there() {
    let (cache, server) = (ToolCache::new(), Arc::new(lister()));
    load(&cache, &server, "alice").await.unwrap();
    server.fail_next_list(Failure::Unauthorized {
        hint: String::new(),
        scopes: Vec::new(),
    });
    let (made, context) = (builder(&server, "alice"), CallContext::new(who("alice")));
    let old = token("alice-old");
    assert!(cache.get_or_load(&made, &old, &context).await.is_err());
    assert!(cache.get(&made, &token("alice")).await.is_none());
}

#[tokio::test]
async fn what_watches_a_cache_does_not_keep_it() {
    let (cache, server) = (ToolCache::new(), Arc::new(lister()));
    let watched = builder(&server, "alice").middleware(cache.watch());
    let context = CallContext::new(who("alice"));
    let set = cache
        .get_or_load(&watched, &token("alice"), &context)
        .await
        .unwrap();
    let store = Arc::downgrade(&cache.store);
    drop(cache);
    assert!(store.upgrade().is_none());
    server.fail_next_call(refusal());
    assert!(set.iter().next().unwrap().call(()).await.is_err());
}

#[tokio::test]
async fn modes_say_what_to_do_with_what_is_there() {
    let (cache, server) = (ToolCache::new(), Arc::new(lister()));
    let (made, credentials) = (builder(&server, "alice"), token("alice"));
    let context = CallContext::new(who("alice"));
    let load = |mode| cache.load(mode, &made, &credentials, &context);
    // Around the cache: nothing is kept.
    load(CacheMode::Bypass).await.unwrap();
    assert!(cache.get(&made, &credentials).await.is_none());
    load(CacheMode::Use).await.unwrap();
    load(CacheMode::Use).await.unwrap();
    assert_eq!(server.lists(), 2);
    // A failure around it leaves what is there.
    server.fail_next_list(unreachable());
    assert!(load(CacheMode::Bypass).await.is_err());
    assert!(cache.get(&made, &credentials).await.is_some());
    load(CacheMode::Refresh).await.unwrap();
    assert_eq!(server.lists(), 4);
    // A refresh that fails has forgotten what was there.
    server.fail_next_list(unreachable());
    assert!(load(CacheMode::Refresh).await.is_err());
    assert!(cache.get(&made, &credentials).await.is_none());
    let stats = cache.stats();
    assert_eq!((stats.bypasses, stats.hits, stats.misses), (2, 1, 3));
    assert_eq!(CacheMode::default().as_str(), "use");
}
