//! Replicas that share a store and do not tell each other anything: what one does, the others find.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::sync::Arc;
use std::time::Duration;

use mcp_auth::testing::ManualClock;
use mcp_auth::time::{Clock as _, SystemClock};
use mcp_core::auth::{
    CredentialError, CredentialProvider as _, CredentialRequest, MemoryStore, Principal, ServerId,
    SharedStore,
};
use mcp_core::{BoxFuture, CallContext, Error, ProtocolVersion, ToolServer as _};
use mcp_http::{HttpClient, HttpRequest, HttpServer, HttpUrl};
use mcp_oauth::{AuthorizationHandler, AuthorizationPrompt, Dpop, OAuth};
use mcp_testbed::oauth::AuthServer;

const REDIRECT: &str = "http://127.0.0.1:4711/callback";
const LIFETIME: Duration = Duration::from_secs(60);

/// A user who always says yes.
#[derive(Debug)]
struct Yes;

impl AuthorizationHandler for Yes {
    fn authorize<'a>(
        &'a self,
        prompt: &'a AuthorizationPrompt,
    ) -> BoxFuture<'a, Result<String, CredentialError>> {
        Box::pin(async {
            let url = HttpUrl::parse(&prompt.authorize_url).unwrap();
            let sent = HttpClient::new().send(HttpRequest::get(&url)).await;
            let response = sent.unwrap();
            let location = response.header(&http::header::LOCATION);
            Ok(location.unwrap().to_owned())
        })
    }
}

/// A process that serves users.
struct Replica {
    oauth: OAuth,
    server: HttpServer,
}

impl Replica {
    async fn call(&self) -> Result<(), Error> {
        let context = CallContext::new(alice()).with_timeout(Duration::from_secs(10));
        self.server.list_tools(&context).await.map(|_| ())
    }
}

fn alice() -> Principal {
    Principal::new("alice").unwrap()
}

fn id() -> ServerId {
    ServerId::new("resource").unwrap()
}

/// What all replicas of a test share.
struct Fleet {
    authorization: AuthServer,
    store: SharedStore,
    clock: ManualClock,
}

impl Fleet {
    /// At a server that binds tokens to keys.
    async fn bound() -> Self {
        let authorization = AuthServer::start().await;
        authorization.bind_tokens();
        authorization.lifetime(LIFETIME.as_secs());
        Self {
            authorization,
            store: Arc::new(MemoryStore::new()),
            clock: ManualClock::new(SystemClock.wall()),
        }
    }

    fn replica(&self) -> Replica {
        let url = self.authorization.url();
        let oauth = OAuth::builder(id(), HttpUrl::parse(&url).unwrap())
            .redirect_uri(REDIRECT)
            .store(Arc::clone(&self.store))
            .clock(self.clock.shared())
            .dpop(Dpop::Require)
            .handler(Yes)
            .build();
        let server = HttpServer::builder(url)
            .id(id())
            .protocol(Some(ProtocolVersion::V2026_07_28))
            .credentials(Arc::new(oauth.clone()))
            .build();
        Replica {
            oauth,
            server: server.unwrap(),
        }
    }

    fn logins(&self) -> usize {
        self.authorization.count("/authorize")
    }
}

#[tokio::test]
async fn a_login_elsewhere_has_another_key() {
    let fleet = Fleet::bound().await;
    let (one, other) = (fleet.replica(), fleet.replica());
    one.call().await.unwrap();
    other.oauth.logout(&alice()).await.unwrap();
    other.call().await.unwrap();
    // It holds the token and the key of before.
    one.call().await.unwrap();
    other.call().await.unwrap();
    assert_eq!(fleet.logins(), 2);
    assert_eq!(
        fleet.authorization.count("/token"),
        2,
        "nothing was refreshed"
    );
}

#[tokio::test]
async fn a_refresh_after_a_login_elsewhere_proves_its_key() {
    let fleet = Fleet::bound().await;
    let (one, other) = (fleet.replica(), fleet.replica());
    one.call().await.unwrap();
    other.oauth.logout(&alice()).await.unwrap();
    other.call().await.unwrap();
    fleet.clock.advance(LIFETIME);
    // Both tokens have ended, and the one with the old key is first.
    one.call().await.unwrap();
    other.call().await.unwrap();
    assert_eq!(fleet.logins(), 2);
    assert_eq!(fleet.authorization.refused(), 0);
}

#[tokio::test]
async fn the_key_of_a_login_after_a_logout_elsewhere_is_stored() {
    let fleet = Fleet::bound().await;
    let (one, other) = (fleet.replica(), fleet.replica());
    one.call().await.unwrap();
    other.oauth.logout(&alice()).await.unwrap();
    // It knows a key, and the account that it stood in is gone.
    one.call().await.unwrap();
    fleet.replica().call().await.unwrap();
    assert_eq!(fleet.logins(), 2);
}

#[tokio::test]
async fn whose_a_bound_token_is_can_be_told_without_a_request() {
    let fleet = Fleet::bound().await;
    let replica = fleet.replica();
    replica.call().await.unwrap();
    let (id, alice) = (id(), alice());
    let request = CredentialRequest::new(&id, &alice);
    let key = replica.oauth.credentials(request).await.unwrap();
    assert!(!key.is_anonymous());
    let uri = fleet.authorization.url().parse().unwrap();
    let sent = replica
        .oauth
        .credentials(request.http(&http::Method::POST, &uri));
    assert_eq!(sent.await.unwrap().fingerprint(), key.fingerprint());
}
