//! What was said and not heard is noticed.

use mcp_testbed::redis::{Proxy, RedisServer, Weather};

use super::*;

#[tokio::test]
async fn a_connection_that_was_lost_costs_everything_only_if_something_was_said() {
    let redis = RedisServer::start();
    let proxy = Proxy::start(redis.port()).await;
    let (one, other) = (
        Replica::start(&redis.url()).await,
        Replica::start(&proxy.url()).await,
    );
    // Nothing was said meanwhile.
    other.load("alice").await;
    proxy.set(Weather::Cut);
    until("the connection is missed", || other.cache.stats().away).await;
    proxy.set(Weather::Fair);
    other.connected().await;
    assert!(other.holds("alice").await);
    assert_eq!(other.gaps(), 0);
    // Something was, of somebody else: who knows of whom?
    proxy.set(Weather::Cut);
    until("the connection is missed", || other.cache.stats().away).await;
    one.cache.invalidate_principal(&who("bob")).await;
    one.bus.flush().await;
    proxy.set(Weather::Fair);
    until("a gap is noticed", || other.gaps() == 1).await;
    assert!(!other.holds("alice").await);
    other.connected().await;
    // From here on it is as before.
    other.load("alice").await;
    one.cache.invalidate_principal(&who("bob")).await;
    until("the other hears", || other.cache.stats().heard == 1).await;
    assert!(other.holds("alice").await);
}

#[tokio::test]
async fn killed_subscriptions_lose_nothing() {
    let redis = RedisServer::start();
    let (one, other) = Replica::pair(&redis.url()).await;
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        other.load("alice").await;
        redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        let began = Instant::now();
        one.cache.invalidate_principal(&who("alice")).await;
        other.forgets("alice").await;
        longest = longest.max(began.elapsed());
    }
    println!("with subscriptions killed: {longest:?} at most");
    assert!(longest < 5 * SECOND, "{longest:?}");
}

#[tokio::test]
async fn a_silence_is_noticed_and_what_comes_late_is_heard() {
    let redis = RedisServer::start();
    let proxy = Proxy::start(redis.port()).await;
    let (one, other) = (
        Replica::start(&redis.url()).await,
        Replica::start(&proxy.url()).await,
    );
    proxy.set(Weather::Held);
    other.load("alice").await;
    one.cache.invalidate_principal(&who("alice")).await;
    one.bus.flush().await;
    // Nobody answers: it is not believed for long that all is well.
    until("the silence is noticed", || other.cache.stats().away).await;
    other.forgets("alice").await;
    proxy.set(Weather::Fair);
    // Nothing was lost on the way.
    until("the other hears", || other.cache.stats().heard == 1).await;
    other.connected().await;
    assert_eq!(other.gaps(), 0);
}

#[tokio::test]
async fn a_flushed_redis_is_a_gap() {
    let redis = RedisServer::start();
    let (one, other) = Replica::pair(&redis.url()).await;
    for flush in 1..=3 {
        one.load("alice").await;
        other.load("alice").await;
        redis.command(&["FLUSHALL"]);
        for replica in [&one, &other] {
            until("a gap is noticed", || replica.gaps() == flush).await;
            replica.forgets("alice").await;
            replica.connected().await;
        }
    }
    // The same number in a new count is another.
    other.load("alice").await;
    redis.command(&["DEL", "mcp:forget:{all}"]);
    one.cache.invalidate_principal(&who("bob")).await;
    other.forgets("alice").await;
    until("a gap is noticed", || other.gaps() == 4).await;
}

#[tokio::test]
async fn what_nobody_understands_is_missed() {
    let redis = RedisServer::start();
    let replica = Replica::start(&redis.url()).await;
    for odd in [
        "hello",
        "0011223344556677:9 {\"from\":\"x\",\"forget\":[{\"what\":\"moon\",\"why\":\"full\"}]}",
    ] {
        let before = replica.gaps();
        replica.load("alice").await;
        redis.command(&["PUBLISH", "mcp:forget", odd]);
        until("a gap is noticed", || replica.gaps() > before).await;
        replica.forgets("alice").await;
    }
}
