//! Consent in two steps: begin here, complete wherever the callback arrives.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mcp_core::auth::{Expiry, Principal, ServerId, Token};
use tokio::time::timeout;

use crate::discovery::Discovered;
use crate::flow::{self, Pending};
use crate::handler::AuthorizationPrompt;
use crate::session::{Active, Challenged, Session};
use crate::{LoopbackListener, OAuth, OAuthError, device};

/// The path of a login's own callback.
const CALLBACK: &str = "/callback";

/// What to ask a user for.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AuthorizationRequest {
    /// Where the answer is to be sent; by default where the provider was told.
    pub redirect_uri: Option<String>,
    /// Scopes besides those that are wanted anyway.
    pub scopes: Vec<String>,
}

impl AuthorizationRequest {
    /// What is wanted anyway, answered to where the provider was told.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets where the answer is to be sent.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uri = Some(uri.into());
        self
    }

    /// Asks for these scopes too.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }
}

/// A principal that has authorized.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Authorized {
    /// Who.
    pub principal: Principal,
    /// For which server.
    pub server: ServerId,
    /// Who issued the token.
    pub issuer: String,
    /// The scopes that were granted.
    pub scopes: Vec<String>,
    /// When the token ends, if its issuer said so; it is refreshed before where that is possible.
    pub expires_at: Option<SystemTime>,
}

impl OAuth {
    /// Begins an authorization of a principal: give the URL to that user and nobody else, and the
    /// callback to [`complete`](Self::complete). One that was begun before is void.
    ///
    /// # Errors
    /// When the server, its authorization server or the registration there does not allow it.
    /// Dropping the future leaves nothing behind.
    pub async fn begin(
        &self,
        principal: &Principal,
        request: AuthorizationRequest,
    ) -> Result<AuthorizationPrompt, OAuthError> {
        let redirect_uri = request
            .redirect_uri
            .or_else(|| self.core.redirect_uri.clone())
            .ok_or_else(|| OAuthError::config("an authorization needs a `redirect_uri`"))?;
        let session = self.session(principal);
        let active = self.asked(&session).await?;
        let discovered = active.source.metadata().await?;
        let wanted = active
            .source
            .wanted(&discovered, &[], &request.scopes)
            .await?;
        let (pending, prompt) = active
            .source
            .begin(&discovered, &redirect_uri, wanted)
            .await?;
        active.source.keep(&pending).await?;
        Ok(prompt)
    }

    /// Completes an authorization with the callback URL, on any replica that shares the store. From
    /// then on calls of its principal are authorized.
    ///
    /// Runs to its end even if the future is dropped: a code can be used only once.
    ///
    /// # Errors
    /// [`OAuthError::Denied`] when the user said no; [`OAuthError::Protocol`] when `state` or `iss`
    /// is wrong, or nothing was begun here that it answers. No token is touched then.
    pub async fn complete(&self, callback_url: &str) -> Result<Authorized, OAuthError> {
        self.finish(callback_url, None).await
    }

    /// The same, for a callback that came in a session of a known user: the flow of another one is
    /// refused, so that nobody can be made to use somebody else's account.
    ///
    /// # Errors
    /// As [`complete`](Self::complete).
    pub async fn complete_for(
        &self,
        principal: &Principal,
        callback_url: &str,
    ) -> Result<Authorized, OAuthError> {
        self.finish(callback_url, Some(principal)).await
    }

    async fn finish(
        &self,
        callback_url: &str,
        expected: Option<&Principal>,
    ) -> Result<Authorized, OAuthError> {
        let callback = flow::read(callback_url)?;
        let handle = Pending::handle(&callback.state);
        let this = self.clone();
        let expected = expected.cloned();
        let work = tokio::spawn(async move {
            let now = this.core.clock.wall();
            let pending = this.core.records.take_pending(&handle, now).await?;
            let pending = pending.ok_or_else(|| {
                OAuthError::protocol(
                    "the callback answers no authorization that was begun here, or one that is over",
                )
            })?;
            let principal = pending.principal()?;
            if expected.is_some_and(|expected| expected != principal) {
                return Err(OAuthError::protocol(
                    "the callback answers the authorization of somebody else",
                ));
            }
            let code = callback.code(&pending)?;
            let session = this.session(&principal);
            let active = session.settle(false).await?;
            let discovered = active.source.metadata().await?;
            if discovered.issuer() != pending.issuer {
                return Err(OAuthError::protocol(
                    "the server has moved to another authorization server meanwhile; begin again",
                ));
            }
            let token = active.source.redeem(&discovered, &pending, code).await?;
            this.adopt(&active, &principal, token, &pending.scopes)
                .await
        });
        work.await
            .unwrap_or_else(|_| Err(OAuthError::unavailable("the authorization")))
    }

    async fn adopt(
        &self,
        active: &Active,
        principal: &Principal,
        token: Token,
        requested: &[String],
    ) -> Result<Authorized, OAuthError> {
        let now = self.core.clock.wall();
        let expires_at = match token.expiry() {
            Expiry::In(lifetime) => now.checked_add(lifetime),
            Expiry::At(end) => Some(end),
            _ => None,
        };
        let scopes = token.scopes().unwrap_or_default().to_vec();
        active.refreshing.replace(token).await?;
        active.source.forget_prepared();
        self.core
            .records
            .change_account(principal, |account| {
                active.source.describe(account);
                account.scopes = requested.to_vec();
                account.pending = None;
                account.lasting = true;
            })
            .await?;
        tracing::info!(server = %self.core.id, principal = %principal, "oauth_authorized");
        Ok(Authorized {
            principal: principal.clone(),
            server: self.core.id.clone(),
            issuer: active.source.issuer.to_string(),
            scopes,
            expires_at,
        })
    }

    /// Logs a principal in on this machine: listens on a loopback port, calls `show` with the URL to
    /// open, and waits for the browser to come back. The page it ends on says what happened.
    ///
    /// # Errors
    /// As [`begin`](Self::begin) and [`complete`](Self::complete), and when nobody came back within
    /// `patience`.
    pub async fn login(
        &self,
        principal: &Principal,
        request: AuthorizationRequest,
        patience: Duration,
        show: impl FnOnce(&AuthorizationPrompt),
    ) -> Result<Authorized, OAuthError> {
        let listener = self
            .listen(principal, request.redirect_uri.as_deref())
            .await?;
        let request = request.redirect_uri(listener.redirect_uri());
        let prompt = self.begin(principal, request).await?;
        show(&prompt);
        let arrived = timeout(patience, listener.callback(&prompt.state)).await;
        let arrived = arrived.map_err(|_| {
            OAuthError::unavailable("the user's answer (nobody came back from the browser in time)")
        })??;
        let outcome = self.complete_for(principal, arrived.url()).await;
        arrived.answer(&outcome).await;
        outcome
    }

    /// Listens on this machine where an authorization of the principal can be answered to: at a
    /// redirect URL of loopback, by default at the one that this program is registered with, or else
    /// at a free port. For hosts that do the steps of [`login`](Self::login) themselves.
    ///
    /// # Errors
    /// When the server or its authorization server cannot be asked, or the port cannot be had.
    pub async fn listen(
        &self,
        principal: &Principal,
        redirect_uri: Option<&str>,
    ) -> Result<LoopbackListener, OAuthError> {
        let session = self.session(principal);
        let active = self.asked(&session).await?;
        if let Some(uri) = redirect_uri.or(self.core.redirect_uri.as_deref()) {
            return LoopbackListener::bind_at(uri).await;
        }
        // A registration is for one redirect URL: listen there again if possible.
        let records = &self.core.records;
        let known = records.registration(&active.source.issuer).await?;
        if let Some(uri) = known.and_then(|known| known.redirect_uri.clone())
            && let Ok(listener) = LoopbackListener::bind_at(&uri).await
        {
            return Ok(listener);
        }
        LoopbackListener::bind(CALLBACK).await
    }

    /// Waits until a user has typed the code of the device grant, asking as often as the server
    /// allows. What to show is told by `show`, once.
    ///
    /// Dropping the future ends the waiting; a request that is under way then runs to its end, and
    /// the token that it brings is kept: a code can be used only once.
    ///
    /// # Errors
    /// When the user says no, or nothing was typed within `patience`.
    pub async fn login_on_device(
        &self,
        principal: &Principal,
        patience: Duration,
        show: impl FnOnce(&mcp_core::auth::AuthorizationRequired),
    ) -> Result<Authorized, OAuthError> {
        let session = self.session(principal);
        let active = self.asked(&session).await?;
        let discovered = active.source.metadata().await?;
        let wanted = active.source.wanted(&discovered, &[], &[]).await?;
        let clock = &self.core.clock;
        let end = clock.now().checked_add(patience);
        let mut show = Some(show);
        loop {
            match self
                .ask_once(principal, &active, &discovered, &wanted)
                .await
            {
                Err(OAuthError::NeedsAuthorization(required)) => {
                    if let Some(show) = show.take() {
                        show(&required);
                    }
                }
                outcome => return outcome,
            }
            // Asking too early costs nothing: the source knows when it may.
            let next = clock.now() + Duration::from_secs(1);
            if end.is_some_and(|end| next >= end) {
                return Err(OAuthError::unavailable(
                    "the user's answer (the code was not typed in time)",
                ));
            }
            clock.sleep_until(next).await;
        }
    }

    /// Asks once for the token of the device grant, in a task that ends with the answer.
    async fn ask_once(
        &self,
        principal: &Principal,
        active: &Arc<Active>,
        discovered: &Arc<Discovered>,
        wanted: &[String],
    ) -> Result<Authorized, OAuthError> {
        let (this, principal, wanted) = (self.clone(), principal.clone(), wanted.to_vec());
        let (active, discovered) = (Arc::clone(active), Arc::clone(discovered));
        let work = tokio::spawn(async move {
            let token = device::fetch(&active.source, &discovered, wanted.clone()).await?;
            this.adopt(&active, &principal, token, &wanted).await
        });
        work.await
            .unwrap_or_else(|_| Err(OAuthError::unavailable("the authorization")))
    }

    /// The session's issuer; the server is asked what it wants where it has not said so yet.
    async fn asked(&self, session: &Arc<Session>) -> Result<Arc<Active>, OAuthError> {
        let Challenged { hint, scopes } = session.challenged();
        if hint.is_none() && scopes.is_empty() {
            session.challenge(self.core.probe().await);
        }
        session.settle(false).await
    }
}
