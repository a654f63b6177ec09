//! Redis away, slow, started anew, emptied: what is valid stays in use, and nothing is lost.

use mcp_auth::testing::{RotatingIssuer, ScriptedSource};
use mcp_auth::{
    CredentialErrorKind, ExposeSecret as _, Recovery, Rejection, StoreErrorKind, StorePolicy,
};
use mcp_testbed::redis::{Proxy, RedisOptions, Weather};

use super::*;

/// What is given without waiting.
fn now_given(provider: &RefreshingToken) -> String {
    let (server, principal) = (ServerId::new("server").unwrap(), Principal::local());
    let request = CredentialRequest::new(&server, &principal);
    text(&provider.credentials(request).now().unwrap().unwrap())
}

async fn refuse(provider: &RefreshingToken, credentials: &Credentials) -> Recovery {
    let (server, principal) = (ServerId::new("server").unwrap(), Principal::local());
    let request = CredentialRequest::new(&server, &principal);
    let rejection = Rejection::new(request, credentials, http::StatusCode::UNAUTHORIZED);
    provider.rejected(rejection).await.unwrap()
}

/// A refresh that is due at once, whose token is good for so long.
async fn begun(store: &RedisTokenStore, issuer: &RotatingIssuer, user: &str) -> RefreshingToken {
    let provider = replica(store, issuer.clone(), user);
    ask(&provider).await.unwrap();
    provider
}

#[tokio::test]
async fn the_way_of_a_call_never_touches_redis() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = RedisTokenStore::new(config(&proxy.url()).open().unwrap(), sealing());
    let issuer = RotatingIssuer::new(3600 * SECOND);
    let provider = begun(&store, &issuer, "alice").await;
    let (calls, bytes) = (server.calls(), proxy.bytes_sent());
    for _ in 0..10_000 {
        now_given(&provider);
    }
    assert_eq!(server.calls(), calls);
    assert_eq!(proxy.bytes_sent(), bytes);
}

#[tokio::test]
async fn while_redis_is_away_valid_tokens_stay_in_use_and_others_wait_for_it() {
    let mut server = RedisOptions::new().durable().start();
    let store = store(&server);
    let issuer = RotatingIssuer::new(3600 * SECOND);
    let valid = begun(&store, &issuer, "alice").await;
    seed(&store, "bob", "test-refresh-1").await;
    server.kill();
    for _ in 0..100 {
        assert_eq!(now_given(&valid), "Bearer test-access-1");
    }
    // Whoever has none waits, and is served as soon as Redis is back.
    let other = Arc::new(replica(&store, issuer.clone(), "bob"));
    let asking = {
        let other = Arc::clone(&other);
        tokio::spawn(async move { ask(&other).await })
    };
    wait_for(async || store.load(&key("bob")).await.is_err()).await;
    assert!(!asking.is_finished());
    server.restart();
    let found = asking.await.unwrap().unwrap();
    assert_eq!(text(&found), "Bearer test-access-2");
    assert_eq!(issuer.reused(), 0);
}

#[tokio::test]
async fn a_wait_for_redis_ends_with_a_clear_error() {
    let mut server = RedisServer::start();
    let store = store(&server);
    let source = ScriptedSource::new();
    let provider = replica(&store, source.clone(), "alice").fetch_deadline(2 * SECOND);
    server.kill();
    let begun = tokio::time::Instant::now();
    let error = ask(&provider).await.unwrap_err();
    assert!(matches!(
        error.kind(),
        CredentialErrorKind::Unavailable { .. }
    ));
    assert!(
        error
            .to_string()
            .contains("the token store cannot be reached"),
        "{error}"
    );
    assert!(begun.elapsed() < 10 * SECOND);
    assert_eq!(source.calls(), 0);
}

#[tokio::test]
async fn a_token_that_does_not_rotate_is_fetched_without_redis() {
    let mut server = RedisServer::start();
    let source = ScriptedSource::new();
    let provider = replica(&store(&server), source.clone(), "alice");
    let first = ask(&provider).await.unwrap();
    server.kill();
    assert_eq!(refuse(&provider, &first).await, Recovery::Retry);
    assert_eq!(now_given(&provider), "Bearer test-token-2");
    assert_eq!(source.calls(), 2);
}

#[tokio::test]
async fn a_policy_lets_one_go_on_alone_and_the_store_gets_the_token_when_it_is_back() {
    let mut server = RedisOptions::new().durable().start();
    let (one, other) = (store(&server), store(&server));
    let issuer = RotatingIssuer::new(3600 * SECOND);
    let alone = replica(&one, issuer.clone(), "alice").store_policy(StorePolicy::RefreshAlone);
    let mut held = ask(&alone).await.unwrap();
    server.kill();
    for number in 2..=4 {
        assert_eq!(refuse(&alone, &held).await, Recovery::Retry);
        held = ask(&alone).await.unwrap();
        assert_eq!(text(&held), format!("Bearer test-access-{number}"));
    }
    server.restart();
    wait_for(async || {
        let found = other.load(&key("alice")).await;
        let found = found.ok().flatten();
        found.is_some_and(|found| found.token.access().expose_secret() == "test-access-4")
    })
    .await;
    let next = replica(&other, issuer.clone(), "alice");
    assert_eq!(text(&ask(&next).await.unwrap()), "Bearer test-access-4");
    assert_eq!((issuer.issued(), issuer.reused()), (4, 0));
}

#[tokio::test]
async fn a_token_whose_store_went_away_meanwhile_is_used_and_stored_later() {
    let server = RedisOptions::new().durable().start();
    let proxy = Proxy::start(server.port()).await;
    let behind = config(&proxy.url())
        .response_deadline(SECOND / 5)
        .connect_deadline(SECOND / 5);
    let behind = RedisTokenStore::new(behind.open().unwrap(), sealing());
    let direct = store(&server);
    seed(&direct, "alice", "test-refresh-0").await;
    let issuer = RotatingIssuer::new(3600 * SECOND).with_delay(SECOND / 10);
    let provider = Arc::new(replica(&behind, issuer.clone(), "alice"));
    let asking = {
        let provider = Arc::clone(&provider);
        tokio::spawn(async move { ask(&provider).await })
    };
    wait_for(async || issuer.issued() == 1).await;
    proxy.set(Weather::Cut);
    let found = asking.await.unwrap().unwrap();
    assert_eq!(text(&found), "Bearer test-access-1");
    let stored = direct.load(&key("alice")).await.unwrap().unwrap();
    assert_eq!(stored.token.access().expose_secret(), "test-access-0");
    proxy.set(Weather::Fair);
    wait_for(async || {
        let stored = direct.load(&key("alice")).await.unwrap().unwrap();
        stored.token.access().expose_secret() == "test-access-1"
    })
    .await;
    assert_eq!((issuer.issued(), issuer.reused()), (1, 0));
}

#[tokio::test]
async fn what_a_crash_of_redis_lost_is_restored_by_whoever_holds_it() {
    let mut server = RedisServer::start();
    let (one, other) = (store(&server), store(&server));
    let issuer = RotatingIssuer::new(3600 * SECOND);
    let provider = begun(&one, &issuer, "alice").await;
    let held = ask(&provider).await.unwrap();
    // Nothing was on disk.
    server.restart();
    wait_for(async || other.load(&key("alice")).await.is_ok_and(|it| it.is_none())).await;
    assert_eq!(now_given(&provider), "Bearer test-access-1");
    assert_eq!(refuse(&provider, &held).await, Recovery::Retry);
    assert_eq!(now_given(&provider), "Bearer test-access-2");
    let next = replica(&other, issuer.clone(), "alice");
    assert_eq!(text(&ask(&next).await.unwrap()), "Bearer test-access-2");
    assert_eq!((issuer.issued(), issuer.reused()), (2, 0));
}

#[tokio::test]
async fn a_redis_that_went_back_in_time_is_not_believed() {
    let server = RedisServer::start();
    let (one, other) = (store(&server), store(&server));
    let issuer = RotatingIssuer::new(3600 * SECOND);
    let provider = begun(&one, &issuer, "alice").await;
    let name = server.command(&["KEYS", "*:token:*"]);
    server.command(&["COPY", &name, "backup"]);
    let held = ask(&provider).await.unwrap();
    assert_eq!(refuse(&provider, &held).await, Recovery::Retry);
    // As a replica that lagged behind would have it after a failover.
    server.command(&["COPY", "backup", &name, "REPLACE"]);
    let held = ask(&provider).await.unwrap();
    assert_eq!(refuse(&provider, &held).await, Recovery::Retry);
    let next = replica(&other, issuer.clone(), "alice");
    assert_eq!(text(&ask(&next).await.unwrap()), "Bearer test-access-3");
    assert_eq!((issuer.issued(), issuer.reused()), (3, 0));
}

#[tokio::test]
async fn a_logout_elsewhere_is_not_taken_for_a_loss() {
    let server = RedisServer::start();
    let (one, other) = (store(&server), store(&server));
    let issuer = RotatingIssuer::new(3600 * SECOND);
    let provider = begun(&one, &issuer, "alice").await;
    let held = ask(&provider).await.unwrap();
    assert!(other.delete(&key("alice")).await.unwrap());
    let recovery = refuse(&provider, &held).await;
    assert!(
        matches!(recovery, Recovery::NeedsAuthorization(_)),
        "{recovery:?}"
    );
    assert!(other.load(&key("alice")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_slow_redis_is_waited_for_and_one_that_hangs_is_not() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let behind = config(&proxy.url())
        .response_deadline(SECOND)
        .connect_deadline(SECOND);
    let behind = RedisTokenStore::new(behind.open().unwrap(), sealing());
    seed(&behind, "alice", "test-refresh").await;
    proxy.set(Weather::Slow(SECOND / 10));
    assert!(behind.load(&key("alice")).await.unwrap().is_some());
    proxy.set(Weather::Held);
    let begun = tokio::time::Instant::now();
    let error = behind.load(&key("alice")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreachable);
    assert!(begun.elapsed() < 6 * SECOND, "{:?}", begun.elapsed());
    proxy.set(Weather::Fair);
    wait_for(async || behind.load(&key("alice")).await.is_ok()).await;
    // The same with a server that has stopped.
    server.pause();
    let error = behind.load(&key("alice")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreachable);
    server.resume();
    wait_for(async || behind.load(&key("alice")).await.is_ok()).await;
}

#[tokio::test]
async fn a_server_that_was_started_anew_costs_no_request() {
    let mut server = RedisOptions::new().durable().start();
    let store = store(&server);
    seed(&store, "alice", "test-refresh").await;
    for _ in 0..5 {
        server.restart();
        // Its scripts are gone, and so is every connection.
        seed(&store, "alice", "test-refresh").await;
        assert!(store.load(&key("alice")).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_lease_that_nobody_waited_to_give_back_is_given_back() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let behind = RedisTokenStore::new(
        config(&proxy.url()).connections(1).open().unwrap(),
        sealing(),
    );
    let other = store(&server);
    let lease = behind.lease(&key("alice"), 60 * SECOND).await.unwrap();
    proxy.set(Weather::Cut);
    wait_for(async || behind.load(&key("alice")).await.is_err()).await;
    // Connecting takes for ever, and whoever gives the lease back goes away meanwhile.
    proxy.set(Weather::Held);
    let away = key("alice");
    let hangs = async || tokio::time::timeout(SECOND / 5, behind.load(&away)).await;
    wait_for(async || hangs().await.is_err()).await;
    let (user, begun) = (key("alice"), tokio::time::Instant::now());
    let giving = behind.release(&user, lease.unwrap());
    let given = tokio::time::timeout(SECOND / 5, giving).await;
    assert!(given.is_err(), "{given:?}");
    proxy.set(Weather::Fair);
    wait_for(async || {
        let taken = other.lease(&user, SECOND).await.unwrap();
        taken.is_some()
    })
    .await;
    // Not only when its time was over.
    assert!(begun.elapsed() < 10 * SECOND, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn writings_are_told_apart_by_more_than_may_be_alike() {
    let server = RedisServer::start();
    let store = store(&server);
    seed(&store, "alice", "test-refresh-0").await;
    // Two seeds whose first numbers are half alike, as two of some billion writings would be.
    let mut known = std::collections::HashMap::new();
    let (one, other) = (0..)
        .find_map(|seed| {
            let number = fastrand::Rng::with_seed(seed).u32(..);
            Some((known.insert(number, seed)?, seed))
        })
        .unwrap();
    let mut revisions = Vec::new();
    for (chance, refresh) in [(one, "test-refresh-1"), (other, "test-refresh-2")] {
        let token = Token::new("test-access").with_refresh_token(refresh);
        fastrand::seed(chance);
        let saved = store.save(&key("alice"), Save::new(&token, now())).await;
        let Ok(Saved::Stored(revision)) = saved else {
            panic!("{saved:?}");
        };
        revisions.push(revision);
        let stored = store.load(&key("alice")).await.unwrap().unwrap();
        let kept = stored.token.refresh_token().unwrap().expose_secret();
        assert_eq!(kept, refresh);
    }
    assert_ne!(revisions[0], revisions[1]);
}
