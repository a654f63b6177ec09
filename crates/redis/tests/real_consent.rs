//! Consent that is begun on one replica and completed on another, with everything between them in
//! Redis.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

use std::sync::Arc;
use std::time::Duration;

use mcp_auth::testing::ManualClock;
use mcp_auth::time::{Clock as _, SystemClock};
use mcp_auth::{
    CredentialErrorKind, CredentialProvider as _, CredentialRequest, Credentials, Principal,
    Recovery, Rejection, SealingKeys, ServerId,
};
use mcp_http::{HttpClient, HttpRequest, HttpUrl};
use mcp_oauth::{AuthorizationRequest, OAuth, OAuthBuilder, OAuthError};
use mcp_redis::{RedisConfig, RedisTokenStore};
use mcp_testbed::oauth::AuthServer;
use mcp_testbed::redis::RedisServer;

const REDIRECT: &str = "http://127.0.0.1:4711/callback";
const KEY: &str = "test-key-0123456789-0123456789-0123456789";

fn alice() -> Principal {
    Principal::in_tenant("acme", "alice").unwrap()
}

/// A replica: its own provider, on connections of its own.
fn replica(redis: &RedisServer, server: &AuthServer) -> OAuthBuilder {
    let connection = RedisConfig::from_url(&redis.url()).unwrap().open().unwrap();
    let store = RedisTokenStore::new(connection, SealingKeys::new(&KEY.into()).unwrap());
    let url = HttpUrl::parse(&server.url()).unwrap();
    OAuth::builder(ServerId::new("resource").unwrap(), url)
        .redirect_uri(REDIRECT)
        .store(Arc::new(store))
}

/// Where the authorization endpoint sends the user.
async fn consent(url: &str) -> String {
    let url = HttpUrl::parse(url).unwrap();
    let response = HttpClient::new().send(HttpRequest::get(&url)).await;
    let response = response.unwrap();
    response.header(&http::header::LOCATION).unwrap().to_owned()
}

async fn begin(oauth: &OAuth, user: &Principal) -> String {
    let prompt = oauth
        .begin(user, AuthorizationRequest::new())
        .await
        .unwrap();
    consent(&prompt.authorize_url).await
}

async fn held(oauth: &OAuth, user: &Principal) -> Result<Credentials, CredentialErrorKind> {
    let server = ServerId::new("resource").unwrap();
    let asked = oauth
        .credentials(CredentialRequest::new(&server, user))
        .await;
    asked.map_err(|error| error.kind().clone())
}

fn is_authorized(held: Result<Credentials, CredentialErrorKind>) -> bool {
    held.is_ok_and(|credentials| !credentials.is_anonymous())
}

#[tokio::test]
async fn begun_on_one_replica_completed_on_another_and_used_on_a_third() {
    let (redis, server) = (RedisServer::start(), AuthServer::start().await);
    let [one, other, third] = [0; 3].map(|_| replica(&redis, &server).build());
    let callback = begin(&one, &alice()).await;
    let authorized = other.complete_for(&alice(), &callback).await.unwrap();
    assert_eq!(authorized.principal, alice());
    for replica in [&one, &other, &third] {
        assert!(is_authorized(held(replica, &alice()).await));
        assert!(!is_authorized(
            held(replica, &Principal::new("alice").unwrap()).await
        ));
    }
    // The state does not work twice, wherever it is shown.
    for replica in [&one, &other, &third] {
        let error = replica.complete(&callback).await.unwrap_err();
        assert!(matches!(error, OAuthError::Protocol { .. }), "{error:?}");
    }
    assert_eq!(server.count("/token"), 1);
    assert_eq!(server.count("/register"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_replicas_that_complete_at_once_one_wins() {
    let (redis, server) = (RedisServer::start(), AuthServer::start().await);
    let replicas = [0; 6].map(|_| replica(&redis, &server).build());
    for round in 1..=10 {
        let user = Principal::new(format!("user-{round}")).unwrap();
        let callback = begin(&replicas[0], &user).await;
        let completing: Vec<_> = replicas
            .iter()
            .map(|replica| {
                let (replica, callback) = (replica.clone(), callback.clone());
                tokio::spawn(async move { replica.complete(&callback).await })
            })
            .collect();
        let mut won = 0;
        for completing in completing {
            match completing.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(matches!(error, OAuthError::Protocol { .. }), "{error:?}"),
            }
        }
        assert_eq!((won, server.count("/token")), (1, round));
    }
}

#[tokio::test]
async fn an_authorization_that_nobody_answered_ends_in_redis_by_itself() {
    let (redis, server) = (RedisServer::start(), AuthServer::start().await);
    let life = Duration::from_secs(300);
    let clock = ManualClock::new(SystemClock.wall());
    let [one, other] = [0; 2].map(|_| {
        let replica = replica(&redis, &server).pending_life(life);
        replica.clock(clock.shared()).build()
    });
    let before = redis.command(&["KEYS", "*"]);
    let callback = begin(&one, &alice()).await;
    let names = redis.command(&["KEYS", "*"]);
    let lives: Vec<i64> = names
        .lines()
        .filter(|name| !before.contains(*name))
        .map(|name| redis.command(&["TTL", name]).parse().unwrap())
        .collect();
    // It, and the account of who has not logged in yet; a minute of grace is for clocks that differ.
    let begun = lives.iter().filter(|life| (300..=361).contains(*life));
    assert_eq!(begun.count(), 2, "{lives:?}");
    // No replica takes it in the meantime.
    clock.advance(life + Duration::from_secs(1));
    let error = other.complete(&callback).await.unwrap_err();
    assert!(matches!(error, OAuthError::Protocol { .. }), "{error:?}");
    assert_eq!(server.count("/token"), 0);
}

#[tokio::test]
async fn programs_that_are_different_clients_share_no_token() {
    let (redis, server) = (RedisServer::start(), AuthServer::start().await);
    let as_client = |id: &str| replica(&redis, &server).client_id(id).build();
    let (one, other) = (as_client("test-client-one"), as_client("test-client-two"));
    let callback = begin(&one, &alice()).await;
    // The other does not even spend the state.
    assert!(other.complete(&callback).await.is_err());
    one.complete(&callback).await.unwrap();
    assert!(is_authorized(
        held(&as_client("test-client-one"), &alice()).await
    ));
    assert!(!is_authorized(held(&other, &alice()).await));
}

#[tokio::test]
async fn a_logout_on_one_replica_is_one_on_all() {
    let (redis, server) = (RedisServer::start(), AuthServer::start().await);
    let [one, other] = [0; 2].map(|_| replica(&redis, &server).build());
    let callback = begin(&one, &alice()).await;
    one.complete(&callback).await.unwrap();
    assert!(is_authorized(held(&one, &alice()).await));
    one.logout(&alice()).await.unwrap();
    assert!(!is_authorized(held(&other, &alice()).await));
    assert_eq!(redis.command(&["KEYS", "*:lease:*"]), "");
}

#[tokio::test]
async fn a_login_survives_a_redis_that_lost_everything() {
    let (mut redis, server) = (RedisServer::start(), AuthServer::start().await);
    let [one, other] = [0; 2].map(|_| replica(&redis, &server).build());
    let callback = begin(&one, &alice()).await;
    one.complete(&callback).await.unwrap();
    redis.restart();
    assert_eq!(redis.command(&["DBSIZE"]), "0");
    let credentials = held(&one, &alice()).await.unwrap();
    let (id, user) = (ServerId::new("resource").unwrap(), alice());
    let request = CredentialRequest::new(&id, &user);
    let status = http::StatusCode::UNAUTHORIZED;
    let recovery = one
        .rejected(Rejection::new(request, &credentials, status))
        .await;
    assert_eq!(recovery.unwrap(), Recovery::Retry);
    assert!(is_authorized(held(&other, &alice()).await));
    assert_eq!((server.count("/token"), server.reused()), (2, 0));
}

#[tokio::test]
async fn while_redis_is_away_a_user_who_is_logged_in_stays_so() {
    let (mut redis, server) = (RedisServer::start(), AuthServer::start().await);
    let one = replica(&redis, &server).build();
    let callback = begin(&one, &alice()).await;
    one.complete(&callback).await.unwrap();
    redis.kill();
    let server_id = ServerId::new("resource").unwrap();
    for _ in 0..100 {
        let user = alice();
        let request = CredentialRequest::new(&server_id, &user);
        assert!(one.credentials(request).now().unwrap().is_ok());
    }
    // Nobody is told to log in because Redis cannot be asked.
    let bob = Principal::new("bob").unwrap();
    let error = held(&one, &bob).await.unwrap_err();
    assert!(
        matches!(error, CredentialErrorKind::Unavailable { .. }),
        "{error:?}"
    );
}
