//! Tokens of one issuer for one principal: refreshed where possible, granted anew where not.

mod account;
mod consent;
mod machine;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use arc_swap::ArcSwapOption;
use mcp_core::auth::{
    CredentialError, ExposeSecret as _, MaybeReady, Token, TokenContext, TokenSource,
};

use crate::client::{Client, Registration};
use crate::core::Core;
use crate::discovery::Discovered;
use crate::dpop::DpopKey;
use crate::grant::{self, Grant};
use crate::scopes;
use crate::session::State;
use crate::token_endpoint::Fields;
use crate::{OAuthError, device};

/// What is kept beside a token: the scopes that were asked for with it, and the client that it was
/// issued to where this side registered that.
const REQUESTED: &str = "requested";
const CLIENT: &str = "client";

pub(crate) struct Source {
    pub(crate) core: Arc<Core>,
    pub(crate) state: Arc<State>,
    pub(crate) issuer: Arc<str>,
    discovered: ArcSwapOption<Discovered>,
    moved: AtomicBool,
}

/// A source that a [`RefreshingToken`](mcp_core::auth::RefreshingToken) owns.
pub(crate) struct SourceHandle(pub(crate) Arc<Source>);

impl TokenSource for SourceHandle {
    fn token(&self, context: TokenContext) -> MaybeReady<'_, Result<Token, CredentialError>> {
        MaybeReady::new(async move { self.0.fetch(context).await.map_err(CredentialError::from) })
    }
}

impl Source {
    pub(crate) fn new(
        core: Arc<Core>,
        state: Arc<State>,
        issuer: Arc<str>,
        discovered: Option<Arc<Discovered>>,
    ) -> Self {
        Self {
            core,
            state,
            issuer,
            discovered: ArcSwapOption::new(discovered),
            moved: AtomicBool::new(false),
        }
    }

    /// The metadata, if it has been looked at.
    pub(crate) fn known(&self) -> Option<Arc<Discovered>> {
        self.discovered.load_full()
    }

    /// Whether the server was seen to have another issuer than this.
    pub(crate) fn moved(&self) -> bool {
        self.moved.load(Ordering::Relaxed)
    }

    pub(crate) fn learn(&self, discovered: Arc<Discovered>) {
        self.discovered.store(Some(discovered));
    }

    pub(crate) async fn metadata(&self) -> Result<Arc<Discovered>, OAuthError> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let account = self.core.records.account(&self.state.principal).await?;
        let hint = account.hint.as_deref();
        let found = self
            .core
            .discovered(false, hint, Some(&self.issuer))
            .await?;
        if found.issuer() != &*self.issuer {
            // A token of the old issuer is not refreshed: the session begins with the new one.
            self.moved.store(true, Ordering::Relaxed);
            return Err(OAuthError::unavailable("the token's issuer"));
        }
        self.learn(Arc::clone(&found));
        Ok(found)
    }

    async fn fetch(&self, context: TokenContext) -> Result<Token, OAuthError> {
        let discovered = self.metadata().await?;
        let requested = context.previous.as_ref().map(requested).unwrap_or_default();
        let wider = context
            .scopes
            .iter()
            .any(|scope| !requested.contains(scope));
        if context.previous.is_some() {
            self.stays_known(&discovered).await;
        }
        if let Some(previous) = &context.previous
            && !wider
            && let Some(refreshed) = self.refresh(&discovered, previous).await?
        {
            return Ok(refreshed);
        }
        let wanted = self
            .wanted(&discovered, &requested, &context.scopes)
            .await?;
        let token = match &self.core.grant {
            Grant::AuthorizationCode => self.authorize(&discovered, wanted).await,
            Grant::DeviceCode => device::fetch(self, &discovered, wanted).await,
            machine => self.grant(machine, &discovered, wanted).await,
        }?;
        self.keep_account(&discovered).await;
        Ok(token)
    }

    /// What to ask for now.
    pub(crate) async fn wanted(
        &self,
        discovered: &Discovered,
        requested: &[String],
        more: &[String],
    ) -> Result<Vec<String>, OAuthError> {
        let interactive = self.core.grant.is_interactive();
        let mut requested = requested.to_vec();
        if interactive {
            // A step-up that nobody answered yet, or an earlier login.
            let account = self.core.records.account(&self.state.principal).await?;
            requested.extend(account.scopes.iter().cloned());
        }
        let mut challenged = self
            .state
            .challenged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .scopes
            .clone();
        challenged.extend_from_slice(more);
        Ok(scopes::wanted(scopes::Known {
            configured: &self.core.scopes,
            requested: &requested,
            challenged: &challenged,
            supported: discovered.scopes_supported.as_deref(),
            offline: interactive && discovered.server.offers_offline_access(),
        }))
    }

    /// The next token for the refresh token that came with the one before; `None` where that is
    /// over and the user or the grant has to be asked again.
    async fn refresh(
        &self,
        discovered: &Discovered,
        previous: &Token,
    ) -> Result<Option<Token>, OAuthError> {
        let Some(refresh) = previous.refresh_token() else {
            return Ok(None);
        };
        let registration = previous.extra(CLIENT).and_then(Registration::from_text);
        let client = match &registration {
            Some(registration) => Some(registration.client()),
            None => self.core.identify(discovered, None).await?.0,
        };
        let key = self.key_of_stored(discovered).await?;
        let endpoint = self
            .core
            .endpoint(discovered, client.as_ref(), key.as_deref());
        let fields = grant::refresh(refresh, &discovered.resource);
        match endpoint.token(&fields).await {
            Ok(token) => {
                let token = match previous.extra(REQUESTED) {
                    Some(requested) => token.with_extra(REQUESTED, requested.clone()),
                    None => token,
                };
                let token = match (token.scopes(), previous.scopes()) {
                    (None, Some(scopes)) => {
                        let scopes = scopes.to_vec();
                        token.with_scopes(scopes)
                    }
                    _ => token,
                };
                keeping(token, registration.as_ref()).map(Some)
            }
            Err(error) => match error.code() {
                Some("invalid_grant") => {
                    tracing::info!(server = %self.core.id, "oauth_refresh_token_ended");
                    Ok(None)
                }
                Some("invalid_client" | "unauthorized_client") if registration.is_some() => {
                    self.forget(client.as_ref()).await?;
                    Ok(None)
                }
                _ => Err(error),
            },
        }
    }

    /// Forgets a registration that its server does not know any more.
    async fn forget(&self, client: Option<&Client>) -> Result<(), OAuthError> {
        if let Some(client) = client.filter(|client| client.dynamic) {
            let records = &self.core.records;
            records
                .forget_registration(&self.issuer, &client.id)
                .await?;
        }
        Ok(())
    }

    /// The token of a device grant or any other that was had with these fields.
    pub(crate) async fn issue(
        &self,
        discovered: &Discovered,
        client: Option<&Client>,
        registration: Option<&Registration>,
        fields: &Fields,
        wanted: &[String],
    ) -> Result<Token, OAuthError> {
        let key = self.key(discovered).await?;
        let endpoint = self.core.endpoint(discovered, client, key.as_deref());
        let token = endpoint.token(fields).await?;
        keeping(with_requested(token, wanted), registration)
    }

    /// The principal's key for the next token, where tokens are bound to one; made once, and the
    /// same in all replicas.
    pub(crate) async fn key(
        &self,
        discovered: &Discovered,
    ) -> Result<Option<Arc<DpopKey>>, OAuthError> {
        if !self.core.binds(discovered)? {
            return Ok(None);
        }
        let own = match self.state.key.known() {
            Some(known) => known,
            None => Arc::new(DpopKey::generate()?),
        };
        let account = self
            .core
            .records
            .change_account(&self.state.principal, |account| {
                account
                    .dpop_key
                    .get_or_insert_with(|| own.to_text().expose_secret().to_owned());
            })
            .await?;
        self.state.key.learn(&account)?;
        Ok(self.state.key.known())
    }

    /// The key that the stored token is bound to. Where the store does not answer, the one that is
    /// known; and nothing is written: what was logged out elsewhere stays so.
    async fn key_of_stored(
        &self,
        discovered: &Discovered,
    ) -> Result<Option<Arc<DpopKey>>, OAuthError> {
        if !self.core.binds(discovered)? {
            return Ok(None);
        }
        let account = self.core.records.account(&self.state.principal).await;
        if let Err(error) = account.and_then(|account| self.state.key.learn(&account)) {
            tracing::debug!(server = %self.core.id, %error, "oauth_key_not_looked_up");
        }
        match self.state.key.known() {
            Some(key) => Ok(Some(key)),
            None => self.key(discovered).await,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("issuer", &self.issuer)
            .field("principal", &self.state.principal)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SourceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn requested(token: &Token) -> Vec<String> {
    let Some(scopes) = token.extra(REQUESTED) else {
        return Vec::new();
    };
    let scopes = scopes.expose_secret().split(' ');
    scopes
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect()
}

fn with_requested(token: Token, scopes: &[String]) -> Token {
    // An answer without `scope` means "as requested" (RFC 6749, section 5.1).
    let token = if token.scopes().is_none() {
        token.with_scopes(scopes.iter().cloned())
    } else {
        token
    };
    token.with_extra(REQUESTED, scopes.join(" "))
}

fn keeping(token: Token, registration: Option<&Registration>) -> Result<Token, OAuthError> {
    Ok(match registration {
        Some(registration) => token.with_extra(CLIENT, registration.to_text()?),
        None => token,
    })
}
