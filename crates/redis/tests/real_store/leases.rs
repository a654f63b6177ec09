//! Who may refresh, and how the others hear of it.

use mcp_auth::{Expected, StoreErrorKind};
use mcp_testbed::redis::{Proxy, Weather};

use super::*;

#[tokio::test]
async fn a_lease_is_renewed_while_it_is_held_and_free_when_it_is_dropped() {
    let server = RedisServer::start();
    let (one, other) = (store(&server).lease_time(SECOND / 4), store(&server));
    let lease = one
        .lease(&key("alice"), 60 * SECOND)
        .await
        .unwrap()
        .unwrap();
    let name = server.command(&["KEYS", "*:lease:*"]);
    let until = || {
        server
            .command(&["HGET", &name, "u"])
            .parse::<u64>()
            .unwrap()
    };
    let first = until();
    // Well past the end that it began with.
    wait_for(async || until() > first + 1000).await;
    assert!(lease.is_held());
    assert!(other.lease(&key("alice"), SECOND).await.unwrap().is_none());
    drop(lease);
    let mut next = None;
    wait_for(async || {
        next = other.lease(&key("alice"), SECOND).await.unwrap();
        next.is_some()
    })
    .await;
}

#[tokio::test]
async fn a_holder_that_is_cut_off_loses_the_lease_and_cannot_overwrite_the_next_token() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let behind = RedisTokenStore::new(config(&proxy.url()).open().unwrap(), sealing())
        .lease_time(SECOND / 2);
    let other = store(&server);
    seed(&other, "alice", "test-refresh").await;
    let found = other.load(&key("alice")).await.unwrap().unwrap();
    let lease = behind
        .lease(&key("alice"), 60 * SECOND)
        .await
        .unwrap()
        .unwrap();
    assert!(other.lease(&key("alice"), SECOND).await.unwrap().is_none());

    proxy.set(Weather::Held);
    let mut next = None;
    wait_for(async || {
        next = other.lease(&key("alice"), 60 * SECOND).await.unwrap();
        next.is_some()
    })
    .await;
    // It knows by itself, without anybody telling it.
    assert!(!lease.is_held());
    let next = next.unwrap();
    assert!(next.fence() > lease.fence());
    proxy.set(Weather::Fair);

    let stale = Token::new("test-stale");
    let save = Save::new(&stale, now())
        .expecting(Expected::Revision(found.revision))
        .under(&lease);
    wait_for(async || {
        let error = behind.save(&key("alice"), save).await.unwrap_err();
        error.kind() == StoreErrorKind::LeaseLost
    })
    .await;
    let fresh = Token::new("test-fresh");
    let save = Save::new(&fresh, now())
        .expecting(Expected::Revision(found.revision))
        .under(&next);
    assert!(matches!(
        other.save(&key("alice"), save).await,
        Ok(Saved::Stored(_))
    ));
    // Giving back what is lost leaves the present one alone.
    behind.release(&key("alice"), lease).await.unwrap();
    assert!(next.is_held());
    assert!(behind.lease(&key("alice"), SECOND).await.unwrap().is_none());
}

#[tokio::test]
async fn fences_grow_even_past_a_flush() {
    let server = RedisServer::start();
    let store = store(&server);
    let lease = store.lease(&key("alice"), SECOND).await.unwrap().unwrap();
    let fence = lease.fence();
    server.command(&["FLUSHALL"]);
    let next = store.lease(&key("alice"), SECOND).await.unwrap().unwrap();
    assert!(next.fence() > fence);
    let token = Token::new("test-late");
    let late = Save::new(&token, now()).under(&lease);
    let error = store.save(&key("alice"), late).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::LeaseLost);
}

#[tokio::test]
async fn whoever_waits_is_told_of_saves_deletions_and_leases_given_back() {
    let mut server = RedisServer::start();
    let (one, other) = (store(&server), store(&server));
    let told = async |changes: &mut mcp_auth::Changes| {
        tokio::time::timeout(DEADLINE, changes.next())
            .await
            .unwrap();
    };
    let key = key("alice");
    let mut changes = one.changes(&key).await;
    assert!(changes.are_told());
    // That the subscription is there.
    told(&mut changes).await;
    seed(&other, "alice", "test-refresh").await;
    told(&mut changes).await;
    let lease = other.lease(&key, SECOND).await.unwrap().unwrap();
    other.release(&key, lease).await.unwrap();
    told(&mut changes).await;
    other.delete(&key).await.unwrap();
    told(&mut changes).await;
    // After a time without, everybody looks again.
    server.restart();
    told(&mut changes).await;
    wait_for(async || other.load(&key).await.is_ok()).await;
    seed(&other, "alice", "test-refresh").await;
    told(&mut changes).await;
}

#[tokio::test]
async fn waiting_for_another_replica_asks_redis_a_few_times_only() {
    let server = RedisServer::start();
    let (one, other) = (store(&server), store(&server));
    seed(&one, "alice", "test-refresh-0").await;
    let lease = one
        .lease(&key("alice"), 60 * SECOND)
        .await
        .unwrap()
        .unwrap();
    let loser = replica(&other, mcp_auth::testing::ScriptedSource::new(), "alice");
    let asking = tokio::spawn(async move { ask(&loser).await });
    // It listens, and has looked once more since.
    let listens = || server.command(&["PUBSUB", "NUMSUB", "mcp:tokens"]);
    wait_for(async || listens().ends_with("\n1")).await;
    let looks = || {
        let calls = server.calls();
        let found = calls.iter().find(|(name, _)| name == "get");
        found.map_or(0, |(_, count)| *count)
    };
    let before = looks();
    let token = Token::new("test-winner").expires_in(600 * SECOND);
    let save = Save::new(&token, now()).under(&lease);
    one.save(&key("alice"), save).await.unwrap();
    let found = asking.await.unwrap().unwrap();
    assert_eq!(text(&found), "Bearer test-winner");
    let made = looks() - before;
    assert!(made <= 4, "{made}");
}
