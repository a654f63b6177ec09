//! Tokens and leases on a real Redis: the rules of every store, and what only a server can do to one.

#![cfg(unix)]
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

mod addresses;
mod faults;
mod keys;
mod killed;
mod leases;
mod memory;
mod sharing;
mod tokens;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mcp_auth::time::{Clock as _, SystemClock};
use mcp_auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, Expiry, Principal,
    RefreshingToken, Save, Saved, SealingKeys, ServerId, Token, TokenKey, TokenSource, TokenStore,
};
use mcp_redis::{RedisConfig, RedisTokenStore};
use mcp_testbed::redis::RedisServer;

const KEY: &str = "test-key-0123456789-0123456789-0123456789";
const SECOND: Duration = Duration::from_secs(1);
/// No test waits longer for what has to come.
const DEADLINE: Duration = Duration::from_secs(40);

fn sealing() -> SealingKeys {
    SealingKeys::new(&KEY.into()).unwrap()
}

fn config(url: &str) -> RedisConfig {
    RedisConfig::from_url(url).unwrap()
}

/// A store with connections of its own, as a replica has.
fn store(server: &RedisServer) -> RedisTokenStore {
    RedisTokenStore::new(config(&server.url()).open().unwrap(), sealing())
}

fn key(user: &str) -> TokenKey {
    TokenKey::new(
        ServerId::new("server").unwrap(),
        Principal::new(user).unwrap(),
    )
}

fn now() -> SystemTime {
    SystemClock.wall()
}

/// A replica's provider of one user's token.
fn replica(
    store: &RedisTokenStore,
    source: impl TokenSource + 'static,
    user: &str,
) -> RefreshingToken {
    RefreshingToken::new(source).store(Arc::new(store.clone()), key(user))
}

async fn ask(provider: &RefreshingToken) -> Result<Credentials, CredentialError> {
    let (server, principal) = (ServerId::new("server").unwrap(), Principal::local());
    let request = CredentialRequest::new(&server, &principal);
    tokio::time::timeout(DEADLINE, provider.credentials(request))
        .await
        .unwrap()
}

/// The same for tokens so short that a busy machine may be late with one: asks again then. That
/// somebody has to log in is no such thing.
async fn ask_on(provider: &RefreshingToken) -> Credentials {
    let asking = async {
        loop {
            match ask(provider).await {
                Ok(credentials) => return credentials,
                Err(error) => assert!(error.is_transient(), "{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.unwrap()
}

fn text(credentials: &Credentials) -> String {
    let (_, value) = &credentials.headers()[0];
    value.to_str().unwrap().to_owned()
}

/// A token whose access has ended, and whose refresh token is this.
async fn seed(store: &dyn TokenStore, user: &str, refresh: &str) {
    let token = Token::new("test-access-0")
        .with_refresh_token(refresh)
        .with_expiry(Expiry::At(now() - SECOND));
    let saved = store
        .save(&key(user), Save::new(&token, now() - SECOND))
        .await;
    assert!(matches!(saved, Ok(Saved::Stored(_))), "{saved:?}");
}

/// Looks until it is so: other processes and servers send no event.
async fn wait_for(mut so: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.unwrap();
}
