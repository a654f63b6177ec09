//! What many users cost.

use super::*;

async fn many_users_seen_once_take_bounded_room() {
    let cache = ToolCache::builder().capacity(100).build();
    let server = Arc::new(Lister::new());
    for n in 0..5_000 {
        load(&cache, &server, &format!("user{n}")).await.unwrap();
    }
    cache.store.entries.run_pending_tasks().await;
    let stats = cache.stats();
    assert!(stats.entries <= 100, "{stats:?}");
    assert!(stats.evictions > 0);
    assert!(cache.store.flights.is_empty());
}
