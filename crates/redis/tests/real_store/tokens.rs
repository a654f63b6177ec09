//! What is kept, under which name, for how long, and who can read it.

use mcp_auth::testing::check_store;
use mcp_auth::{Expected, ExposeSecret as _, StoreErrorKind};

use super::*;

#[tokio::test]
async fn the_redis_store_keeps_the_rules() {
    let server = RedisServer::start();
    check_store(Arc::new(store(&server))).await.unwrap();
    let plain = RedisTokenStore::in_plain_text(config(&server.url()).open().unwrap());
    check_store(Arc::new(plain)).await.unwrap();
}

#[tokio::test]
async fn what_lies_in_redis_shows_no_token_and_nobody() {
    let server = RedisServer::start();
    let store = store(&server);
    let token = Token::new("canary-access")
        .with_refresh_token("canary-refresh")
        .with_extra("key", "canary-extra")
        .with_expiry(Expiry::Never);
    let key = TokenKey::new(
        ServerId::new("canary-server").unwrap(),
        Principal::in_tenant("canary-tenant", "canary-user").unwrap(),
    )
    .with_issuer("https://canary.test")
    .with_client("canary-client");
    store.save(&key, Save::new(&token, now())).await.unwrap();
    let lease = store.lease(&key, SECOND).await.unwrap().unwrap();
    let names = server.command(&["KEYS", "*"]);
    assert_eq!(names.lines().count(), 2, "{names}");
    for name in names.lines() {
        assert!(name.starts_with("mcp:"), "{name}");
        let dumped = server.command(&["DUMP", name]);
        assert!(!format!("{name} {dumped}").contains("canary"));
    }
    assert!(!format!("{store:?} {lease:?}").contains("canary"));
    let found = store.load(&key).await.unwrap().unwrap();
    assert_eq!(found.token.access().expose_secret(), "canary-access");
    // What differs in one part of the key is another token.
    for other in [
        TokenKey::new(key.server(), Principal::new("canary-user").unwrap()),
        TokenKey::new(key.server(), key.principal()).with_issuer("https://canary.test"),
        TokenKey::new(key.server(), key.principal()).with_client("canary-client"),
    ] {
        assert!(store.load(&other).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_token_ends_with_its_refresh_token() {
    let server = RedisServer::start();
    let store = store(&server)
        .refresh_life(1000 * SECOND)
        .grace(10 * SECOND)
        .idle_life(3000 * SECOND);
    let token = |expiry| Token::new("test-access").with_expiry(expiry);
    let end = Expiry::At(now() + 100 * SECOND);
    for (token, life) in [
        (token(end).with_refresh_token("test-refresh"), 1000),
        (
            token(Expiry::Never).with_refresh_token("test-refresh"),
            1000,
        ),
        (
            token(end)
                .with_refresh_token("test-refresh")
                .with_refresh_end(now() + 5000 * SECOND),
            5010,
        ),
        (token(end), 110),
        (token(Expiry::In(50 * SECOND)), 60),
        (token(Expiry::Unknown), 10),
        (token(Expiry::At(now() - 500 * SECOND)), 10),
        (token(Expiry::Never), 3000),
    ] {
        store
            .save(&key("alice"), Save::new(&token, now()))
            .await
            .unwrap();
        let name = server.command(&["KEYS", "*:token:*"]);
        let left: i64 = server.command(&["TTL", &name]).parse().unwrap();
        assert!((left - life).abs() <= 2, "{token:?}: {left}, not {life}");
    }
    // A deletion is remembered as long as the token would have been.
    let token = token(end).with_refresh_token("test-refresh");
    store
        .save(&key("alice"), Save::new(&token, now()))
        .await
        .unwrap();
    assert!(store.delete(&key("alice")).await.unwrap());
    let name = server.command(&["KEYS", "*:token:*"]);
    let left: i64 = server.command(&["TTL", &name]).parse().unwrap();
    assert!((995..=1000).contains(&left), "{left}");
}

#[tokio::test]
async fn of_many_swaps_at_once_one_is_made() {
    let server = RedisServer::start();
    let tasks: Vec<_> = (0..32)
        .map(|number| {
            let store = store(&server);
            tokio::spawn(async move {
                let token = Token::new(format!("test-{number}"));
                let save = Save::new(&token, now()).expecting(Expected::Nothing);
                store.save(&key("alice"), save).await.unwrap()
            })
        })
        .collect();
    let mut stored = 0;
    for task in tasks {
        stored += u32::from(matches!(task.await.unwrap(), Saved::Stored(_)));
    }
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn a_foreign_value_is_an_error_and_no_logout() {
    let server = RedisServer::start();
    let store = store(&server);
    seed(&store, "alice", "test-refresh").await;
    let name = server.command(&["KEYS", "*:token:*"]);
    server.command(&["SET", &name, "canary-of-somebody-else-under-this-name"]);
    let error = store.load(&key("alice")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    server.command(&["DEL", &name]);
    server.command(&["LPUSH", &name, "canary"]);
    let error = store.load(&key("alice")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[tokio::test]
async fn a_full_redis_says_so_and_keeps_what_it_has() {
    let server = mcp_testbed::redis::RedisOptions::new()
        .arguments(&["--maxmemory-policy", "noeviction"])
        .start();
    let store = store(&server);
    seed(&store, "alice", "test-refresh").await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let token = Token::new("test-access");
    let error = store.save(&key("bob"), Save::new(&token, now())).await;
    assert_eq!(error.unwrap_err().kind(), StoreErrorKind::Full);
    assert!(store.load(&key("alice")).await.unwrap().is_some());
}
