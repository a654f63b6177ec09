//! Setting up authorization for one server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_core::auth::time::{SharedClock, SystemClock};
use mcp_core::auth::{MemoryStore, SecretRef, ServerId, SharedStore, StorePolicy};
use mcp_http::{HttpClient, HttpUrl};
use moka::sync::Cache;
use tokio::sync::Mutex;

use crate::OAuth;
use crate::client::{AssertionAudience, ClientAuthMethod, ClientSettings};
use crate::core::Core;
use crate::discovery::DiscoverySettings;
use crate::dpop::Dpop;
use crate::grant::Grant;
use crate::handler::AuthorizationHandler;
use crate::nonces::Nonces;
use crate::records::Records;
use crate::wire::Wire;

/// How long a begun authorization can be completed.
const PENDING_LIFE: Duration = Duration::from_secs(600);
const MAX_PENDING_LIFE: Duration = Duration::from_secs(24 * 3600);
/// One fetch: discovery, registration and the token request, each with a bound of its own.
const FETCH_DEADLINE: Duration = Duration::from_secs(30);
/// One fetch with a person in it.
const HANDLED_DEADLINE: Duration = Duration::from_secs(330);
/// Principals that are kept in memory.
const SESSIONS: u64 = 10_000;
/// How long a principal that does not call is kept in memory.
const IDLE: Duration = Duration::from_secs(3600);

/// Sets up [`OAuth`]. Every setting has a default that follows the specification.
pub struct OAuthBuilder {
    server: ServerId,
    url: HttpUrl,
    client: ClientSettings,
    discovery: DiscoverySettings,
    grant: Grant,
    scopes: Vec<String>,
    redirect_uri: Option<String>,
    dpop: Dpop,
    http: Option<HttpClient>,
    store: Option<SharedStore>,
    store_policy: StorePolicy,
    clock: SharedClock,
    handler: Option<Arc<dyn AuthorizationHandler>>,
    pending_life: Duration,
    sessions: u64,
}

impl OAuthBuilder {
    pub(crate) fn new(server: ServerId, url: HttpUrl) -> Self {
        Self {
            server,
            url,
            client: ClientSettings::default(),
            discovery: DiscoverySettings {
                issuer: None,
                resource: None,
                legacy: true,
            },
            grant: Grant::default(),
            scopes: Vec::new(),
            redirect_uri: None,
            dpop: Dpop::default(),
            http: None,
            store: None,
            store_policy: StorePolicy::default(),
            clock: Arc::new(SystemClock),
            handler: None,
            pending_life: PENDING_LIFE,
            sessions: SESSIONS,
        }
    }

    /// How tokens are had. Default: the user consents in a browser.
    pub fn grant(mut self, grant: Grant) -> Self {
        self.grant = grant;
        self
    }

    /// The id of a client that was registered beforehand. It is used before all other identities, and
    /// stays with the issuer that it is first used at. Whoever gives a secret pins
    /// [`issuer`](Self::issuer) as well: then the server has no say in who sees it.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client.id = Some(id.into());
        self
    }

    /// That client's secret.
    pub fn client_secret(mut self, secret: impl Into<SecretRef>) -> Self {
        self.client.secret = Some(secret.into());
        self
    }

    /// The client's private key (PKCS#8 PEM), to sign assertions with (`private_key_jwt`).
    pub fn private_key(mut self, pem: impl Into<SecretRef>) -> Self {
        self.client.key_settings().pem = pem.into();
        self
    }

    /// The `kid` that names the private key.
    pub fn key_id(mut self, id: impl Into<String>) -> Self {
        self.client.key_settings().id = Some(id.into());
        self
    }

    /// The algorithm that assertions are signed with: `ES256`, `ES384`, `RS256`, `PS256` or `EdDSA`, as
    /// the private key is. By default what the key is of and the authorization server takes; for RSA
    /// that is `RS256` before `PS256`.
    pub fn algorithm(mut self, algorithm: impl Into<String>) -> Self {
        self.client.key_settings().algorithm = Some(algorithm.into());
        self
    }

    /// The audience of the client's assertions. Default: the issuer.
    pub fn assertion_audience(mut self, audience: AssertionAudience) -> Self {
        self.client.audience = audience;
        self
    }

    /// How the client proves itself. By default the strongest that the server offers.
    pub fn token_endpoint_auth_method(mut self, method: ClientAuthMethod) -> Self {
        self.client.method = Some(method);
        self
    }

    /// The URL of this program's client metadata document: its client id at every authorization
    /// server that supports them.
    pub fn client_metadata_url(mut self, url: impl Into<String>) -> Self {
        self.client.metadata_url = Some(url.into());
        self
    }

    /// The name that a dynamic registration carries and users are shown. Default `mcp-toolkit`.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.client.name = Some(name.into());
        self
    }

    /// Scopes that are asked for at least, besides those that the server's challenge names.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// The only issuer whose tokens are wanted. A server that names others is then an error.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.discovery.issuer = Some(issuer.into());
        self
    }

    /// The resource indicator, in place of the one in the server's metadata.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.discovery.resource = Some(resource.into());
        self
    }

    /// Whether a server that publishes no protected resource metadata may be its own authorization
    /// server, as 2025-03-26 has it. Default: yes.
    pub fn legacy_discovery(mut self, allow: bool) -> Self {
        self.discovery.legacy = allow;
        self
    }

    /// Where authorization servers send users back to. Needed for authorization URLs in
    /// `NeedsAuthorization` and for a handler; [`OAuth::login`] brings its own.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uri = Some(uri.into());
        self
    }

    /// Whether tokens are bound to a key. Default: off.
    pub fn dpop(mut self, dpop: Dpop) -> Self {
        self.dpop = dpop;
        self
    }

    /// The client that all requests go through, with its address policies. Default: a new one.
    pub fn http_client(mut self, client: HttpClient) -> Self {
        self.http = Some(client);
        self
    }

    /// Where tokens, registrations, keys and begun authorizations are kept. With a store that
    /// replicas share, each of them can finish what another began. Default: memory.
    ///
    /// For each principal it keeps an account (issuer, scopes, key: a few hundred bytes) and a token
    /// until the logout, while a consent is awaited that too; for each authorization server one
    /// registration of this client, for each `client_id` its first issuer. Whether those who never
    /// log out go some day is the store's to say: that of `mcp-redis` forgets what nobody has used for
    /// 180 days, memory and files forget nothing.
    pub fn store(mut self, store: SharedStore) -> Self {
        self.store = Some(store);
        self
    }

    /// What to do when a token has to be refreshed and the store does not answer. Default: wait for
    /// it, then fail; tokens that are still valid are used in any case.
    pub fn store_policy(mut self, policy: StorePolicy) -> Self {
        self.store_policy = policy;
        self
    }

    /// Where time comes from.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// Gets consent while calls wait, for hosts with the user in front of them.
    pub fn handler(mut self, handler: impl AuthorizationHandler + 'static) -> Self {
        self.handler = Some(Arc::new(handler));
        self
    }

    /// How long a begun authorization can be completed, and the longest that anything is stored of
    /// a user who does not log in. Default 10 minutes, at most a day.
    pub fn pending_life(mut self, life: Duration) -> Self {
        self.pending_life = life.min(MAX_PENDING_LIFE);
        self
    }

    /// How many principals are kept in memory, each for an hour after its last call. Default 10,000.
    pub fn max_principals(mut self, principals: u64) -> Self {
        self.sessions = principals.max(1);
        self
    }

    /// The provider. Asks nothing yet.
    pub fn build(self) -> OAuth {
        let store = self.store.unwrap_or_else(|| Arc::new(MemoryStore::new()));
        let configured = self.discovery.issuer.as_deref().into_iter();
        let provider = match &self.grant {
            Grant::Enterprise(enterprise) => Some(enterprise.provider.url()),
            _ => None,
        };
        let trusted = configured
            .chain(provider)
            .filter_map(|url| HttpUrl::parse(url).ok())
            .collect();
        let fetch_deadline = match self.handler {
            Some(_) => HANDLED_DEADLINE,
            None => FETCH_DEADLINE,
        };
        OAuth {
            core: Arc::new(Core {
                records: Records::new(
                    store,
                    self.server.clone(),
                    self.client.identity(),
                    Arc::clone(&self.clock),
                    self.pending_life,
                ),
                store_policy: self.store_policy,
                id: self.server,
                wire: Wire {
                    client: self.http.unwrap_or_default(),
                    server: self.url,
                    trusted,
                },
                discovery: self.discovery,
                client: self.client,
                grant: self.grant,
                scopes: self.scopes,
                redirect_uri: self.redirect_uri,
                dpop: self.dpop,
                nonces: Nonces::default(),
                clock: self.clock,
                handler: self.handler,
                pending_life: self.pending_life,
                fetch_deadline,
                found: Mutex::new(None),
                registering: Mutex::new(()),
            }),
            sessions: Cache::builder()
                .max_capacity(self.sessions)
                .time_to_idle(IDLE)
                .build(),
        }
    }
}

impl fmt::Debug for OAuthBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthBuilder")
            .field("server", &self.server)
            .field("url", &self.url)
            .field("client", &self.client)
            .field("grant", &self.grant)
            .field("scopes", &self.scopes)
            .field("dpop", &self.dpop)
            .finish_non_exhaustive()
    }
}
