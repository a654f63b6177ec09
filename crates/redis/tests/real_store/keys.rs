//! Sealing keys that change.

use mcp_auth::testing::ScriptedSource;
use mcp_auth::{CredentialErrorKind, StoreErrorKind};

use super::*;

#[tokio::test]
async fn old_keys_read_the_new_key_writes_and_a_wrong_one_logs_nobody_out() {
    let server = RedisServer::start();
    let open = || config(&server.url()).open().unwrap();
    let new = SealingKeys::new(&KEY.replace('0', "1").into()).unwrap();
    let old_only = RedisTokenStore::new(open(), sealing());
    let new_only = RedisTokenStore::new(open(), new.clone());
    let both = RedisTokenStore::new(open(), new.also_opening(&KEY.into()).unwrap());
    seed(&old_only, "alice", "test-refresh").await;

    // Nobody is logged out by a key that is missing: nothing is asked for, nothing is overwritten.
    let source = ScriptedSource::new();
    let error = ask(&replica(&new_only, source.clone(), "alice"))
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), CredentialErrorKind::Misconfigured),
        "{error:?}"
    );
    assert_eq!(source.calls(), 0);
    let error = new_only.load(&key("alice")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::UnknownKey);

    let found = both.load(&key("alice")).await.unwrap().unwrap();
    both.save(&key("alice"), Save::new(&found.token, now()))
        .await
        .unwrap();
    assert!(new_only.load(&key("alice")).await.unwrap().is_some());
    let error = old_only.load(&key("alice")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::UnknownKey);
}

#[tokio::test]
async fn a_value_that_was_moved_or_never_sealed_does_not_open() {
    let server = RedisServer::start();
    let store = store(&server);
    seed(&store, "alice", "test-refresh").await;
    let alice = server.command(&["KEYS", "*:token:*"]);
    seed(&store, "mallory", "test-refresh").await;
    let mallory = server.command(&["KEYS", "*:token:*"]);
    let mallory = mallory.lines().find(|name| *name != alice).unwrap();
    server.command(&["COPY", &alice, mallory, "REPLACE"]);
    let error = store.load(&key("mallory")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);

    let plain = RedisTokenStore::in_plain_text(store.redis().clone());
    assert_eq!(
        plain.load(&key("alice")).await.unwrap_err().kind(),
        StoreErrorKind::UnknownKey
    );
    seed(&plain, "bob", "test-refresh").await;
    assert_eq!(
        store.load(&key("bob")).await.unwrap_err().kind(),
        StoreErrorKind::Corrupt
    );
}
