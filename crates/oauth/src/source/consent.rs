//! Tokens that a person consents to, at once or later.

use std::sync::PoisonError;

use mcp_core::auth::{AuthorizationRequired, SecretString, Token};

use super::{Source, keeping, with_requested};
use crate::OAuthError;
use crate::client::Registration;
use crate::discovery::Discovered;
use crate::flow::{self, Beginning, Pending};
use crate::handler::AuthorizationPrompt;
use crate::session::Prepared;

impl Source {
    /// A token that the user consents to: now, where the host can ask; later otherwise.
    pub(super) async fn authorize(
        &self,
        discovered: &Discovered,
        wanted: Vec<String>,
    ) -> Result<Token, OAuthError> {
        let Some(handler) = &self.core.handler else {
            return Err(self.told(discovered, wanted).await?);
        };
        if !self.state.limiter.take("authorize", self.core.clock.now()) {
            return Err(OAuthError::NeedsAuthorization(
                AuthorizationRequired::new().with_scopes(wanted),
            ));
        }
        let redirect_uri = self.core.redirect_uri.as_deref().ok_or_else(|| {
            OAuthError::config("the authorization code grant needs a `redirect_uri`")
        })?;
        let mut again = true;
        loop {
            let (pending, prompt) = self.begin(discovered, redirect_uri, wanted.clone()).await?;
            let callback = handler.authorize(&prompt).await?;
            let code = flow::read(&callback)?.code(&pending)?;
            match self.redeem(discovered, &pending, code).await {
                Err(error)
                    if again
                        && pending.registration.is_some()
                        && error.code() == Some("invalid_client") =>
                {
                    again = false;
                    let client = pending.registration.as_ref().map(Registration::client);
                    self.forget(client.as_ref()).await?;
                }
                token => return token,
            }
        }
    }

    /// Begins an authorization that somebody completes later, and remembers what was asked for;
    /// gives the error that tells of it.
    async fn told(
        &self,
        discovered: &Discovered,
        wanted: Vec<String>,
    ) -> Result<OAuthError, OAuthError> {
        let now = self.core.clock.now();
        let prepared = self.prepared();
        if let Some(prepared) = prepared
            && now < prepared.until
            && prepared.required.scopes == wanted
        {
            return Ok(OAuthError::NeedsAuthorization(prepared.required));
        }
        let required = AuthorizationRequired::new().with_scopes(wanted.iter().cloned());
        let required = match self.core.redirect_uri.as_deref() {
            Some(redirect_uri) => {
                let (pending, prompt) =
                    self.begin(discovered, redirect_uri, wanted.clone()).await?;
                self.keep(&pending).await?;
                required.with_authorize_url(prompt.authorize_url)
            }
            None => required,
        };
        self.core
            .records
            .change_account(&self.state.principal, |account| {
                self.describe(account);
                account.scopes.clone_from(&wanted);
            })
            .await?;
        // Told again while it can be answered, and a while longer before it no longer can.
        *self
            .state
            .prepared
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Prepared {
            required: required.clone(),
            until: now + self.core.pending_life / 2,
        });
        Ok(OAuthError::NeedsAuthorization(required))
    }

    fn prepared(&self) -> Option<Prepared> {
        let prepared = self.state.prepared.lock();
        prepared.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn forget_prepared(&self) {
        let prepared = self.state.prepared.lock();
        prepared.unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Makes an authorization URL and what has to be remembered with it.
    pub(crate) async fn begin(
        &self,
        discovered: &Discovered,
        redirect_uri: &str,
        scopes: Vec<String>,
    ) -> Result<(Pending, AuthorizationPrompt), OAuthError> {
        let (client, registration) = self.core.identify(discovered, Some(redirect_uri)).await?;
        let client = client.ok_or_else(|| OAuthError::config("configure a `client_id`"))?;
        let key = self.key(discovered).await?;
        let beginning = Beginning {
            discovered,
            client: &client,
            registration,
            principal: &self.state.principal,
            redirect_uri,
            scopes,
            key: key.and_then(|key| key.thumbprint()),
        };
        let (pending, authorize_url) = flow::begin(&self.core.wire, beginning)?;
        let prompt = AuthorizationPrompt {
            authorize_url,
            redirect_uri: redirect_uri.to_owned(),
            state: pending.state.clone(),
            issuer: pending.issuer.clone(),
            scopes: pending.scopes.clone(),
            server: self.core.id.clone(),
            principal: self.state.principal.clone(),
        };
        Ok((pending, prompt))
    }

    /// Stores an authorization for whoever gets its callback; the one before is void.
    pub(crate) async fn keep(&self, pending: &Pending) -> Result<(), OAuthError> {
        let records = &self.core.records;
        let handle = Pending::handle(&pending.state);
        records.keep_pending(&handle, pending).await?;
        let before = records
            .account(&self.state.principal)
            .await?
            .pending
            .clone();
        records
            .change_account(&self.state.principal, |account| {
                self.describe(account);
                account.pending = Some(handle.clone());
            })
            .await?;
        if let Some(before) = before.filter(|before| *before != handle) {
            records.forget_pending(&before).await?;
        }
        Ok(())
    }

    /// A token for the code.
    pub(crate) async fn redeem(
        &self,
        discovered: &Discovered,
        pending: &Pending,
        code: SecretString,
    ) -> Result<Token, OAuthError> {
        let client = match &pending.registration {
            Some(registration) => Some(registration.client()),
            None => self.core.identify(discovered, None).await?.0,
        };
        if client.as_ref().map(|client| &client.id) != Some(&pending.client_id) {
            return Err(OAuthError::config(
                "the configured client is another than the one that the authorization was begun with",
            ));
        }
        let key = self.key(discovered).await?;
        let endpoint = self
            .core
            .endpoint(discovered, client.as_ref(), key.as_deref());
        let token = endpoint.token(&pending.fields(code)).await?;
        keeping(
            with_requested(token, &pending.scopes),
            pending.registration.as_ref(),
        )
    }
}
