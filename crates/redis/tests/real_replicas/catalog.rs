//! What one was told for everybody, none asks for again.

use mcp_auth::SealingKeys;
use mcp_redis::RedisCatalog;
use mcp_testbed::redis::RedisServer;

use super::*;

/// Another server's tools, which everybody may have.
fn sharing(url: &str, key: Option<&str>) -> Replica {
    let catalog = match key {
        Some(key) => RedisCatalog::new(redis(url), SealingKeys::new(&key.into()).unwrap()),
        None => RedisCatalog::in_plain_text(redis(url)),
    };
    let server = lister().public();
    Replica::with(url, server, |cache| cache.catalog(Arc::new(catalog)))
}

const KEY: &str = "a-test-key-of-at-least-thirty-two-bytes";

#[tokio::test]
async fn a_list_is_asked_for_once_until_it_changes() {
    for key in [None, Some(KEY)] {
        let redis = RedisServer::start();
        let (one, other) = (sharing(&redis.url(), key), sharing(&redis.url(), key));
        one.connected().await;
        other.connected().await;
        let lists = || one.server.lists() + other.server.lists();
        one.load("alice").await;
        other.load("bob").await;
        assert_eq!((lists(), other.cache.stats().found), (1, 1));
        // What lies there ends, names nobody, and is sealed where there is a key.
        let name = redis.command(&["KEYS", "mcp:catalog:*"]);
        assert!(!name.contains("{s}") && !name.contains('\n'), "{name}");
        let life: u64 = redis.command(&["PTTL", &name]).parse().unwrap();
        assert!(life > 290_000 && life <= 300_000, "{life}");
        let open = redis.command(&["GETRANGE", &name, "0", "0"]) == "{";
        assert_eq!(open, key.is_none());
        // Who has another key asks for itself.
        let stranger = sharing(&redis.url(), Some("another-test-key-of-at-least-32-bytes"));
        stranger.load("carol").await;
        assert_eq!(stranger.server.lists(), 1);
        // A server whose tools changed is asked once more.
        one.cache.invalidate_server(&server_id()).await;
        other.forgets("bob").await;
        until("the old list is gone", || {
            redis.command(&["EXISTS", &name]) == "0"
        })
        .await;
        one.load("alice").await;
        other.load("bob").await;
        let now = lists();
        assert!(now == 2 || now == 3, "{now}");
        assert!(other.cache.stats().gaps == 0);
    }
}

#[tokio::test]
async fn a_list_that_nobody_sealed_is_not_believed() {
    let redis = RedisServer::start();
    let sharing = |key| sharing(&redis.url(), key);
    let (stranger, other, one) = (sharing(None), sharing(None), sharing(Some(KEY)));
    for replica in [&stranger, &other, &one] {
        replica.connected().await;
    }
    stranger.load("alice").await;
    other.load("alice").await;
    one.load("alice").await;
    let asked = |replica: &Replica| (replica.server.lists(), replica.cache.stats().found);
    assert_eq!((asked(&other), asked(&one)), ((0, 1), (1, 0)));
}

#[tokio::test]
async fn a_redis_that_is_away_stops_nobody() {
    let redis = RedisServer::start();
    let replica = sharing(&redis.url(), None);
    drop(redis);
    replica.load("alice").await;
    assert_eq!(replica.server.lists(), 1);
}
