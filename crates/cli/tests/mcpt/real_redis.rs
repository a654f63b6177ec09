//! Logins in Redis: one machine's login is another's, and nobody reads them there.

use mcp_testbed::oauth::AuthServer;
use mcp_testbed::redis::{RedisOptions, RedisServer};
use serde_json::json;

use crate::command::{Ran, Shell};
use crate::consent::{as_it_is, log_in, shell};

const CALL: [&str; 4] = ["call", "one", "echo", "--json"];
const KEY: &str = "test-key-0123456789-0123456789-0123456789";
const NEXT_KEY: &str = "test-key-abcdefghij-abcdefghij-abcdefghij";

fn redis() -> RedisServer {
    RedisOptions::new().password("test-canary").start()
}

/// A machine of its own: another home.
fn machine(server: &AuthServer, redis: &RedisServer) -> Shell {
    shell(server, &json!({}))
        .var("MCPT_TOKEN_STORE", &redis.url())
        .var("MCPT_REDIS_PASSWORD", "test-canary")
        .var("MCPT_TOKEN_KEY", KEY)
}

fn failed(ran: &Ran, kind: &str, code: i32) {
    let found = (ran.kind(), ran.code);
    assert_eq!(
        found,
        (kind.to_owned(), code),
        "{}\n{}",
        ran.stdout,
        ran.stderr
    );
    ran.shows_nothing_of("canary");
    ran.shows_nothing_of("test-key");
}

#[tokio::test]
async fn a_login_of_one_machine_is_there_on_another() {
    let (server, redis) = (AuthServer::start().await, redis());
    let [here, there] = [0; 2].map(|_| machine(&server, &redis));
    let ran = log_in(&here, &["one"], as_it_is).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = there.run(&CALL).await;
    assert_eq!(ran.json()["status"], "ok", "{}", ran.stderr);
    let other = [&CALL[..], &["--user", "mallory"]].concat();
    failed(&there.run(&other).await, "needs_authorization", 3);
    // Nothing that is kept can be read there, and no file was written.
    for name in redis.command(&["KEYS", "*"]).lines() {
        let kept = redis.command(&["DUMP", name]);
        assert!(!kept.contains("test-access") && !kept.contains("test-refresh"));
    }
    assert!(!here.folder().join(".local/share/mcpt").exists());

    let ran = there.run(&["logout", "one", "--json"]).await;
    assert_eq!(ran.json()["revoked"], true, "{}", ran.stderr);
    failed(&here.run(&CALL).await, "needs_authorization", 3);
}

#[tokio::test]
async fn keys_change_without_a_new_login_and_a_wrong_one_is_no_logout() {
    let (server, redis) = (AuthServer::start().await, redis());
    let before = machine(&server, &redis);
    let ran = log_in(&before, &["one"], as_it_is).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let wrong = machine(&server, &redis).var("MCPT_TOKEN_KEY", NEXT_KEY);
    failed(&wrong.run(&CALL).await, "config", 2);
    let changed = machine(&server, &redis)
        .var("MCPT_TOKEN_KEY", NEXT_KEY)
        .var("MCPT_TOKEN_KEY_BEFORE", KEY);
    let ran = changed.run(&CALL).await;
    assert_eq!(ran.json()["status"], "ok", "{}", ran.stderr);
}

#[tokio::test]
async fn what_is_wrong_is_said_without_a_secret() {
    let (server, mut redis) = (AuthServer::start().await, redis());
    let unset = machine(&server, &redis).var("MCPT_TOKEN_KEY", "");
    failed(&unset.run(&CALL).await, "config", 2);
    let short = machine(&server, &redis).var("MCPT_TOKEN_KEY", "test-key");
    failed(&short.run(&CALL).await, "config", 2);
    let address = format!("redis://:test-canary@127.0.0.1:{}", redis.port());
    let in_sight = [&CALL[..], &["--token-store", &address]].concat();
    failed(&machine(&server, &redis).run(&in_sight).await, "config", 2);
    let wrong = machine(&server, &redis).var("MCPT_REDIS_PASSWORD", "test-canary-2");
    failed(&wrong.run(&CALL).await, "config", 2);
    redis.kill();
    let away = [&CALL[..], &["--timeout", "3s"]].concat();
    let ran = machine(&server, &redis).run(&away).await;
    assert!(["credential_unavailable", "timeout"].contains(&ran.kind().as_str()));
    ran.shows_nothing_of("canary");
}
