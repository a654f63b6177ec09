//! The provider: tokens by MCP's authorization rules, for every principal of one server.

use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use mcp_core::auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Principal,
    Recovery, Rejection, ServerId,
};
use mcp_http::HttpUrl;
use moka::sync::Cache;

use crate::OAuthBuilder;
use crate::core::Core;
use crate::session::{Challenged, Session};

/// Authorizes requests to one MCP server by the rules of the specification (2026-07-28,
/// authorization): it learns from the server's challenge who issues tokens, gets one by the
/// configured [`Grant`](crate::Grant), keeps it fresh, asks for more scopes when the server does, and
/// signs proofs of possession where tokens are bound to a key.
///
/// Each principal has tokens of its own. A request that the server did not challenge yet goes out
/// without credentials. Where a person has to consent, the call fails with
/// [`NeedsAuthorization`](mcp_core::Failure::NeedsAuthorization), or waits for the
/// [`AuthorizationHandler`](crate::AuthorizationHandler).
///
/// ```
/// use mcp_core::ServerId;
/// use mcp_http::HttpUrl;
/// use mcp_oauth::OAuth;
///
/// # fn main() -> Result<(), mcp_core::Error> {
/// let provider = OAuth::builder(
///     ServerId::new("github")?,
///     HttpUrl::parse("https://mcp.example.com/mcp")?,
/// )
/// .redirect_uri("https://agent.example.com/callback")
/// .build();
/// # Ok(())
/// # }
/// ```
///
/// Cloning copies pointers; clones share everything.
#[derive(Clone)]
pub struct OAuth {
    pub(crate) core: Arc<Core>,
    pub(crate) sessions: Cache<Principal, Arc<Session>>,
}

impl OAuth {
    /// Sets up authorization for the server at this URL.
    pub fn builder(server: ServerId, url: HttpUrl) -> OAuthBuilder {
        OAuthBuilder::new(server, url)
    }

    /// The extension of MCP that its grant belongs to, which a client declares to the server.
    pub fn extension(&self) -> Option<&'static str> {
        self.core.grant.extension()
    }

    pub(crate) fn session(&self, principal: &Principal) -> Arc<Session> {
        if self.core.grant.is_shared() {
            return self.session_of(&Principal::local());
        }
        self.session_of(principal)
    }

    fn session_of(&self, principal: &Principal) -> Arc<Session> {
        if let Some(known) = self.sessions.get(principal) {
            return known;
        }
        self.sessions.get_with(principal.clone(), || {
            Arc::new(Session::new(Arc::clone(&self.core), principal.clone()))
        })
    }

    /// Tokens for one server never go to another, whoever asks.
    fn check(&self, request: CredentialRequest<'_>) -> Result<(), CredentialError> {
        let Some(uri) = request.uri else {
            return Ok(());
        };
        let ours = self.core.wire.server.uri();
        if uri.scheme() == ours.scheme() && uri.authority() == ours.authority() {
            return Ok(());
        }
        Err(CredentialError::misconfigured(
            "the tokens of this provider are for another server",
        ))
    }
}

impl CredentialProvider for OAuth {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        if let Err(error) = self.check(request) {
            return MaybeReady::ready(Err(error));
        }
        let session = self.session(request.principal);
        if let Some(held) = session.held(request) {
            return MaybeReady::ready(held);
        }
        MaybeReady::new(async move { session.credentials(request).await })
    }

    fn rejected<'a>(
        &'a self,
        rejection: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        if let Err(error) = self.check(rejection.request) {
            return MaybeReady::ready(Err(error));
        }
        let session = self.session(rejection.request.principal);
        MaybeReady::new(async move { self.recover(&session, rejection).await })
    }

    fn nonce(&self, request: CredentialRequest<'_>, nonce: &HeaderValue) {
        if let Some(uri) = request.uri {
            self.core.nonces.learn(&uri.to_string(), nonce);
        }
    }

    /// [`OAuth::logout`], where each principal has a token of its own.
    fn logged_out<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<(), CredentialError>> {
        if self.core.grant.is_shared() {
            return MaybeReady::ready(Ok(()));
        }
        MaybeReady::new(async move {
            self.logout(request.principal).await?;
            Ok(())
        })
    }

    fn logged_out_elsewhere(&self, _: &ServerId, whom: &dyn Fn(&Principal) -> bool) {
        if self.core.grant.is_shared() {
            return;
        }
        for (principal, session) in &self.sessions {
            if whom(&principal) {
                session.active.store(None);
                self.sessions.invalidate(&*principal);
            }
        }
    }

    fn header_names(&self) -> Vec<http::HeaderName> {
        vec![http::header::AUTHORIZATION]
    }
}

impl OAuth {
    async fn recover(
        &self,
        session: &Session,
        rejection: Rejection<'_>,
    ) -> Result<Recovery, CredentialError> {
        let wants_nonce = rejection
            .challenges
            .iter()
            .any(|challenge| challenge.is("DPoP") && challenge.error() == Some("use_dpop_nonce"));
        if wants_nonce {
            // The transport has told the nonce; the token is fine. It repeats once.
            let known = rejection
                .request
                .uri
                .is_some_and(|uri| self.core.nonces.of(&uri.to_string()).is_some());
            return Ok(if known {
                Recovery::Retry
            } else {
                Recovery::GiveUp
            });
        }
        let bad_proof = rejection.challenges.iter().any(|challenge| {
            challenge.is("DPoP") && challenge.error() == Some("invalid_dpop_proof")
        });
        if let (true, Some(uri), Some(date)) = (bad_proof, rejection.request.uri, rejection.date)
            && self
                .core
                .nonces
                .learn_time(&uri.to_string(), date, self.core.clock.wall())
        {
            // It was of another time than the server's, and the token is fine.
            return Ok(Recovery::Retry);
        }
        let refused = rejection.credentials.fingerprint();
        if let Some(Ok(held)) = session.held(rejection.request)
            && held.fingerprint() != refused
        {
            // Somebody was faster.
            return Ok(Recovery::Retry);
        }
        let heard = Challenged::new(rejection.challenges);
        if rejection.status == StatusCode::FORBIDDEN {
            let lacking = |challenge: &mcp_core::auth::Challenge| {
                challenge.error() == Some("insufficient_scope")
            };
            if !rejection.challenges.iter().any(lacking) {
                return Ok(Recovery::GiveUp);
            }
            let operation = rejection.request.tool.unwrap_or_default();
            let now = self.core.clock.now();
            if !session
                .state
                .limiter
                .take(&format!("scope {operation}"), now)
            {
                return Ok(Recovery::GiveUp);
            }
        }
        session.challenge(heard);
        // A refused token may mean that the server has moved to another issuer.
        let again =
            rejection.status == StatusCode::UNAUTHORIZED && !rejection.credentials.is_anonymous();
        let active = session.settle(again).await?;
        let recovery = active.refreshing.rejected(rejection).await?;
        if matches!(recovery, Recovery::NeedsAuthorization(_)) {
            session.tried(&active).await?;
        }
        Ok(recovery)
    }
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth")
            .field("core", &self.core)
            .field("sessions", &self.sessions.entry_count())
            .finish()
    }
}
