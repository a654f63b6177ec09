//! Nothing stays in Redis for ever: what nobody uses goes, what is used stays.

#![cfg(unix)]
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

use std::sync::Arc;
use std::time::Duration;

use mcp_auth::{Principal, SealingKeys, ServerId};
use mcp_http::{HttpClient, HttpRequest, HttpUrl};
use mcp_oauth::{AuthorizationRequest, OAuth};
use mcp_redis::{RedisConfig, RedisTokenStore};
use mcp_testbed::oauth::AuthServer;
use mcp_testbed::redis::RedisServer;

const REDIRECT: &str = "http://127.0.0.1:4711/callback";
const IDLE: Duration = Duration::from_secs(5_000);

fn replica(redis: &RedisServer, server: &AuthServer) -> OAuth {
    let connection = RedisConfig::from_url(&redis.url()).unwrap().open().unwrap();
    let keys = SealingKeys::new(&"test-key-0123456789-0123456789-0123456789".into());
    let store = RedisTokenStore::new(connection, keys.unwrap()).idle_life(IDLE);
    let url = HttpUrl::parse(&server.url()).unwrap();
    OAuth::builder(ServerId::new("resource").unwrap(), url)
        .redirect_uri(REDIRECT)
        .store(Arc::new(store))
        .build()
}

async fn log_in(oauth: &OAuth, user: &Principal) {
    let prompt = oauth.begin(user, AuthorizationRequest::new()).await;
    let url = HttpUrl::parse(&prompt.unwrap().authorize_url).unwrap();
    let sent = HttpClient::new().send(HttpRequest::get(&url)).await;
    let response = sent.unwrap();
    let callback = response.header(&http::header::LOCATION).unwrap();
    oauth.complete_for(user, callback).await.unwrap();
}

/// How long each key is kept, in milliseconds; less than nothing is for ever.
fn lives(redis: &RedisServer) -> Vec<(String, i64)> {
    let names = redis.command(&["KEYS", "*"]);
    let names = names.lines().filter(|name| !name.is_empty());
    let life = |name: &str| redis.command(&["PTTL", name]).parse().unwrap();
    names.map(|name| (name.to_owned(), life(name))).collect()
}

#[tokio::test]
async fn a_login_leaves_nothing_that_never_ends() {
    let (redis, server) = (RedisServer::start(), AuthServer::start().await);
    let oauth = replica(&redis, &server);
    let alice = Principal::new("alice").unwrap();
    log_in(&oauth, &alice).await;
    let kept = lives(&redis);
    // Token, account, registration at least.
    assert!(kept.len() >= 3, "{kept:?}");
    assert!(kept.iter().all(|(_, life)| *life > 0), "{kept:?}");
    oauth.logout(&alice).await.unwrap();
    let kept = lives(&redis);
    assert!(kept.iter().all(|(_, life)| *life > 0), "{kept:?}");
}

#[tokio::test]
async fn what_is_used_lives_on_and_a_lost_registration_is_made_anew() {
    let (redis, server) = (RedisServer::start(), AuthServer::start().await);
    let oauth = replica(&redis, &server);
    log_in(&oauth, &Principal::new("alice").unwrap()).await;
    let about_to_end = |redis: &RedisServer| {
        for (name, _) in lives(redis) {
            redis.command(&["PEXPIRE", &name, "60000"]);
        }
    };
    about_to_end(&redis);
    // Another user logs in, as the same client.
    log_in(&oauth, &Principal::new("bob").unwrap()).await;
    assert_eq!(server.count("/register"), 1);
    let long = |lives: &[(String, i64)]| {
        let whole = i64::try_from(IDLE.as_millis()).unwrap();
        let long = |life: i64| (whole - 30_000..=whole).contains(&life);
        lives.iter().filter(|(_, life)| long(*life)).count()
    };
    // The registration, and the account of the one who logged in; not that of the other.
    assert_eq!(long(&lives(&redis)), 2, "{:?}", lives(&redis));

    // Much later.
    for (name, life) in lives(&redis) {
        if life > 0 {
            redis.command(&["DEL", &name]);
        }
    }
    log_in(&oauth, &Principal::new("carol").unwrap()).await;
    assert_eq!(server.count("/register"), 2);
}
