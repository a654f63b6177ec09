//! What all principals of one server share: settings, the wire, what was discovered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use mcp_core::auth::time::{Instant, SharedClock};
use mcp_core::auth::{Challenge, Credentials, ServerId, StorePolicy};
use mcp_http::HttpRequest;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::OAuthError;
use crate::client::{Client, ClientSettings, Registration, register};
use crate::discovery::{Discovered, DiscoverySettings, discover};
use crate::dpop::{Dpop, DpopKey};
use crate::grant::Grant;
use crate::handler::AuthorizationHandler;
use crate::jwt;
use crate::nonces::Nonces;
use crate::records::Records;
use crate::session::Challenged;
use crate::token_endpoint::TokenEndpoint;
use crate::wire::Wire;

/// How long metadata is believed without looking again.
const FRESH: Duration = Duration::from_secs(3600);
/// Asking the server without credentials what it wants.
const PROBE: Duration = Duration::from_secs(10);

pub(crate) struct Core {
    pub(crate) id: ServerId,
    pub(crate) wire: Wire,
    pub(crate) discovery: DiscoverySettings,
    pub(crate) client: ClientSettings,
    pub(crate) grant: Grant,
    pub(crate) scopes: Vec<String>,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) dpop: Dpop,
    pub(crate) records: Records,
    pub(crate) store_policy: StorePolicy,
    pub(crate) nonces: Nonces,
    pub(crate) clock: SharedClock,
    pub(crate) handler: Option<Arc<dyn AuthorizationHandler>>,
    pub(crate) pending_life: Duration,
    pub(crate) fetch_deadline: Duration,
    pub(crate) found: Mutex<Option<Found>>,
    pub(crate) registering: Mutex<()>,
}

/// What was discovered, from which hint, and since when.
#[derive(Debug)]
pub(crate) struct Found {
    begun: Instant,
    hint: Option<String>,
    discovered: Arc<Discovered>,
}

/// A client, and the registration that it comes from where this side made it.
pub(crate) type Identified = (Option<Client>, Option<Registration>);

impl Core {
    /// The authorization server; looked up once for everybody who asks at a time. `again` looks
    /// anew unless somebody has begun to since this was called.
    pub(crate) async fn discovered(
        &self,
        again: bool,
        hint: Option<&str>,
        known: Option<&str>,
    ) -> Result<Arc<Discovered>, OAuthError> {
        let asked = self.clock.now();
        let mut found = self.found.lock().await;
        if let Some(found) = &*found {
            let same = hint.is_none() || found.hint.as_deref() == hint;
            let fresh = if again {
                found.begun >= asked
            } else {
                self.clock.now().saturating_duration_since(found.begun) < FRESH
            };
            if same && fresh {
                return Ok(Arc::clone(&found.discovered));
            }
        }
        let hint = hint
            .map(str::to_owned)
            .or_else(|| found.as_ref().and_then(|found| found.hint.clone()));
        let begun = self.clock.now();
        let discovered =
            Arc::new(discover(&self.wire, &self.discovery, hint.as_deref(), known).await?);
        tracing::debug!(server = %self.id, issuer = discovered.issuer(), "oauth_discovered");
        *found = Some(Found {
            begun,
            hint,
            discovered: Arc::clone(&discovered),
        });
        Ok(discovered)
    }

    /// A client that was registered beforehand belongs to one issuer (2026-07-28, client
    /// registration): its secret is not shown to another that the server comes to name.
    async fn stays_with(&self, client_id: &str, issuer: &str) -> Result<(), OAuthError> {
        if self.discovery.issuer.is_some() {
            // Pinned: discovery has let nobody else through.
            return Ok(());
        }
        let first = self.records.first_issuer(client_id, issuer).await?;
        if first == issuer {
            return Ok(());
        }
        Err(OAuthError::config(
            "the server names another authorization server than the one that `client_id` was first used at; if the move is meant, configure `issuer`",
        ))
    }

    /// Who this side is there: pre-registered, by metadata document, or registered dynamically, in
    /// the order of the specification (2026-07-28, client registration). `None` where the grant
    /// itself names the client.
    pub(crate) async fn identify(
        &self,
        discovered: &Discovered,
        redirect_uri: Option<&str>,
    ) -> Result<Identified, OAuthError> {
        let server = &discovered.server;
        if let Some(client) = self.client.configured(server).await? {
            self.stays_with(&client.id, discovered.issuer()).await?;
            return Ok((Some(client), None));
        }
        if let Some(client) = self.client.documented(server).await? {
            return Ok((Some(client), None));
        }
        match self.grant {
            Grant::JwtBearer(_) => return Ok((None, None)),
            Grant::ClientCredentials | Grant::TokenExchange(_) | Grant::Enterprise(_) => {
                return Err(OAuthError::config(
                    "this grant needs a client that was registered beforehand: configure `client_id`",
                ));
            }
            Grant::AuthorizationCode | Grant::DeviceCode => {}
        }
        // One registration, whoever asks.
        let _one = self.registering.lock().await;
        let issuer = discovered.issuer();
        let now = jwt::seconds(self.clock.wall());
        if let Some(known) = self.records.registration(issuer).await?
            && known.serves(redirect_uri, now)
        {
            return Ok((Some(known.client()), Some(known)));
        }
        let registered = register(
            &self.wire,
            server,
            self.client.name.as_deref(),
            redirect_uri,
            self.grant.types(),
            self.client.method,
        )
        .await;
        let registration = match registered {
            Err(OAuthError::Refused { .. }) if !discovered.published => {
                return Err(OAuthError::protocol(
                    "the server demands authorization and says nowhere who gives it; if it takes a fixed token or key, configure that",
                ));
            }
            registered => registered?,
        };
        self.records
            .keep_registration(issuer, &registration)
            .await?;
        tracing::info!(server = %self.id, issuer, "oauth_client_registered");
        Ok((Some(registration.client()), Some(registration)))
    }

    pub(crate) fn endpoint<'a>(
        &'a self,
        discovered: &'a Discovered,
        client: Option<&'a Client>,
        key: Option<&'a DpopKey>,
    ) -> TokenEndpoint<'a> {
        TokenEndpoint {
            wire: &self.wire,
            server: &discovered.server,
            client,
            key,
            dpop: self.dpop,
            nonces: &self.nonces,
            now: self.clock.wall(),
        }
    }

    /// Whether tokens are bound to a key there.
    pub(crate) fn binds(&self, discovered: &Discovered) -> Result<bool, OAuthError> {
        let can = discovered.server.speaks_dpop();
        match self.dpop {
            Dpop::Off if discovered.dpop_required => Err(OAuthError::config(
                "the server takes only tokens that are bound to a key: turn DPoP on",
            )),
            Dpop::Off => Ok(false),
            Dpop::Prefer => Ok(can),
            Dpop::Require if can || !discovered.published => Ok(true),
            Dpop::Require => Err(OAuthError::config(
                "DPoP with ES256 is required, and the authorization server does not offer it",
            )),
        }
    }

    /// What the server asks of somebody without credentials; nothing where it asks for none.
    pub(crate) async fn probe(&self) -> Challenged {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let accept = HeaderValue::from_static("application/json, text/event-stream");
        let json = HeaderValue::from_static("application/json");
        let request = HttpRequest::post(&self.wire.server, body)
            .header(ACCEPT, accept)
            .header(CONTENT_TYPE, json);
        let Ok(Ok(response)) = timeout(PROBE, self.wire.client.send(request)).await else {
            // Whatever is wrong there, the well-known places may still answer.
            return Challenged::default();
        };
        let values = response.headers().get_all(WWW_AUTHENTICATE);
        Challenged::new(&Challenge::parse(values, &Credentials::anonymous()))
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("id", &self.id)
            .field("server", &self.wire.server)
            .field("grant", &self.grant)
            .field("dpop", &self.dpop)
            .finish_non_exhaustive()
    }
}
