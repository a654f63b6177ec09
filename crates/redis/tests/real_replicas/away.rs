//! Redis goes away and comes back.

use mcp_testbed::redis::RedisServer;

use super::*;

#[tokio::test]
async fn little_is_kept_while_redis_is_away_and_all_recovers() {
    let mut redis = RedisServer::start();
    let (one, other) = Replica::pair(&redis.url()).await;
    other.load("alice").await;
    // It stays for longer than it would while Redis is away.
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(other.holds("alice").await);
    redis.kill();
    until("its end is noticed", || other.cache.stats().away).await;
    until("the others too", || one.cache.stats().away).await;
    other.forgets("alice").await;
    // Users are served all the while.
    other.keeps("alice").await;
    other.forgets("alice").await;
    one.cache.invalidate_principal(&who("alice")).await;
    other.load("alice").await;
    redis.restart();
    other.connected().await;
    // What was said meanwhile is said now, and heard, or missed by one who connects later.
    one.bus.flush().await;
    let said = redis.command(&["HGET", "mcp:forget:{all}", "number"]);
    assert_eq!(said, "1");
    until("the other hears", || {
        other.cache.stats().heard + other.gaps() > 0
    })
    .await;
    one.connected().await;
    other.load("alice").await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(other.holds("alice").await);
}

#[tokio::test]
async fn a_replica_that_starts_without_redis_serves_and_joins_later() {
    let mut redis = RedisServer::start();
    redis.kill();
    let replica = Replica::starting(&redis.url());
    replica.load("alice").await;
    assert!(replica.cache.stats().away);
    replica.forgets("alice").await;
    redis.restart();
    replica.connected().await;
    let one = Replica::start(&redis.url()).await;
    replica.load("alice").await;
    one.cache.invalidate_principal(&who("alice")).await;
    replica.forgets("alice").await;
    assert_eq!(replica.gaps(), 0);
}
