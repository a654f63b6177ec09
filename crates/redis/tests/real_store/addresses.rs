//! Ways to reach Redis: a password, an ACL user, TLS, Sentinel, a cluster of one node.

use mcp_auth::{StoreErrorKind, testing::check_store};
use mcp_redis::RedisErrorKind;
use mcp_testbed::redis::{RedisOptions, RedisSentinel};

use super::*;

#[tokio::test]
async fn a_user_needs_its_password_and_sees_its_prefix_alone() {
    // What the README asks for.
    let rules =
        "~team:* &team:* +@read +@write +@scripting +@pubsub +@connection +info +role +time";
    let server = RedisOptions::new()
        .password("test-password")
        .user("team", "test-team-password", rules)
        .start();
    let at = |user: &str, password: &str| {
        let config = config(&server.url()).user(user);
        config.password(mcp_auth::SecretRef::literal(password))
    };
    let right = at("team", "test-team-password").prefix("team").unwrap();
    let store = RedisTokenStore::new(right.open().unwrap(), sealing());
    check_store(Arc::new(store)).await.unwrap();

    for wrong in [
        at("team", "canary-wrong").prefix("team").unwrap(),
        at("nobody", "test-team-password").prefix("team").unwrap(),
        config(&server.url()),
        // Another prefix than the user may touch.
        at("team", "test-team-password"),
    ] {
        let store = RedisTokenStore::new(wrong.open().unwrap(), sealing());
        let error = store.load(&key("alice")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
        assert!(!format!("{error} {error:?} {store:?}").contains("canary"));
    }
}

#[tokio::test]
async fn a_password_file_that_changes_is_read_anew() {
    let mut server = RedisOptions::new().password("test-first").start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "test-first\n").unwrap();
    let config = config(&server.url()).password(mcp_auth::SecretRef::file(&file));
    let store = RedisTokenStore::new(config.open().unwrap(), sealing());
    seed(&store, "alice", "test-refresh").await;
    std::fs::write(&file, "test-second\n").unwrap();
    server.command(&["CONFIG", "SET", "requirepass", "test-second"]);
    server.change_password("test-second");
    server.restart();
    wait_for(async || store.load(&key("alice")).await.is_ok()).await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn tls_believes_its_roots_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let server = RedisOptions::new()
        .tls(&path("cert.pem"), &path("key.pem"))
        .start();
    let url = format!("rediss://localhost:{}", server.tls_port());
    let good = config(&url).tls_roots_pem(made.cert.pem()).open().unwrap();
    assert!(!good.version().await.unwrap().is_empty());
    check_store(Arc::new(RedisTokenStore::new(good, sealing())))
        .await
        .unwrap();

    // The right certificate under another name, and a certificate that nobody vouches for.
    let other_name = url.replace("localhost", "127.0.0.1");
    for bad in [
        config(&other_name).tls_roots_pem(made.cert.pem()),
        config(&url),
    ] {
        let error = bad.open().unwrap().version().await.unwrap_err();
        assert_eq!(error.kind(), RedisErrorKind::Unreachable, "{error:?}");
    }
}

#[tokio::test]
async fn sentinels_say_where_the_primary_is() {
    let server = RedisOptions::new().password("test-password").start();
    let sentinel = RedisSentinel::start(&server, "agents");
    // The first of them is dead.
    let url = format!(
        "redis-sentinel://:test-password@127.0.0.1:1/agents?node=127.0.0.1:{}",
        sentinel.port()
    );
    // The sentinel itself takes no password.
    let config = config(&url);
    let store = RedisTokenStore::new(config.open().unwrap(), sealing());
    check_store(Arc::new(store)).await.unwrap();

    let unknown = config_for_unknown_service(&sentinel);
    let error = unknown.open().unwrap().version().await.unwrap_err();
    assert_eq!(error.kind(), RedisErrorKind::Unreachable);
}

fn config_for_unknown_service(sentinel: &RedisSentinel) -> RedisConfig {
    RedisConfig::sentinel([("127.0.0.1", sentinel.port())], "strangers")
}

#[cfg(feature = "cluster")]
#[tokio::test]
async fn in_a_cluster_all_keys_of_a_token_lie_in_one_slot() {
    use mcp_auth::testing::RotatingIssuer;

    let server = RedisOptions::new()
        .cluster()
        .password("test-password")
        .start();
    let url = format!("redis-cluster://:test-password@127.0.0.1:{}", server.port());
    let open = || RedisTokenStore::new(config(&url).open().unwrap(), sealing());
    check_store(Arc::new(open())).await.unwrap();
    seed(&open(), "alice", "test-refresh").await;
    let lease = open().lease(&key("alice"), SECOND).await.unwrap().unwrap();
    let names = server.command(&["KEYS", "*"]);
    let mut slots: Vec<_> = names
        .lines()
        .filter(|name| name.contains(&key("alice").digest()))
        .map(|name| server.command(&["CLUSTER", "KEYSLOT", name]))
        .collect();
    assert_eq!(slots.len(), 2, "{names}");
    slots.dedup();
    assert_eq!(slots.len(), 1);
    drop(lease);

    // Scripts that the server has forgotten are sent anew, and losers hear of the winner's token.
    server.command(&["SCRIPT", "FLUSH"]);
    let issuer = RotatingIssuer::new(600 * SECOND).with_delay(SECOND / 2);
    let replicas: Vec<_> = (0..4)
        .map(|_| replica(&open(), issuer.clone(), "bob"))
        .collect();
    let asking = replicas.iter().map(ask);
    for asked in futures(asking).await {
        assert_eq!(text(&asked.unwrap()), "Bearer test-access-1");
    }
    assert_eq!((issuer.issued(), issuer.reused()), (1, 0));
}

#[cfg(feature = "cluster")]
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::future::join_all(all).await
}
