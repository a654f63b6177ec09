//! Tokens of one issuer for one principal: refreshed where possible, granted anew where not.

use std::fmt;
use std::sync::{Arc, PoisonError};

use arc_swap::ArcSwapOption;
use mcp_core::auth::{
    AuthorizationRequired, CredentialError, ExposeSecret as _, MaybeReady, SecretString, Token,
    TokenContext, TokenSource,
};

use crate::client::{Client, Proof, Registration};
use crate::core::Core;
use crate::discovery::Discovered;
use crate::dpop::DpopKey;
use crate::flow::{self, Beginning, Pending};
use crate::grant::{self, Enterprise, Grant, ID_JAG};
use crate::handler::AuthorizationPrompt;
use crate::metadata::ServerMetadata;
use crate::scopes;
use crate::session::{Prepared, State};
use crate::token_endpoint::{Fields, TokenEndpoint};
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
        }
    }

    /// The metadata, if it has been looked at.
    pub(crate) fn known(&self) -> Option<Arc<Discovered>> {
        self.discovered.load_full()
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
            // The next rejection settles it; a token of the old server is not refreshed meanwhile.
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
        if let Some(previous) = &context.previous
            && !wider
            && let Some(refreshed) = self.refresh(&discovered, previous).await?
        {
            return Ok(refreshed);
        }
        let wanted = self
            .wanted(&discovered, &requested, &context.scopes)
            .await?;
        match &self.core.grant {
            Grant::AuthorizationCode => self.authorize(&discovered, wanted).await,
            Grant::DeviceCode => device::fetch(self, &discovered, wanted).await,
            machine => self.grant(machine, &discovered, wanted).await,
        }
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
        let key = self.key(discovered).await?;
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

    /// A token for which nobody has to be asked.
    async fn grant(
        &self,
        machine: &Grant,
        discovered: &Discovered,
        wanted: Vec<String>,
    ) -> Result<Token, OAuthError> {
        for kind in machine.types() {
            if !discovered.server.may_grant(kind) {
                return Err(OAuthError::config(format!(
                    "the authorization server does not offer the grant `{kind}`"
                )));
            }
        }
        let (client, _) = self.core.identify(discovered, None).await?;
        let principal = &self.state.principal;
        let fields = match machine {
            Grant::ClientCredentials => grant::client_credentials(discovered, &wanted),
            Grant::JwtBearer(assertion) => {
                let assertion = assertion.assertion(principal).await?;
                grant::jwt_bearer(assertion, discovered, &wanted)
            }
            Grant::TokenExchange(exchange) => {
                grant::token_exchange(exchange, discovered, principal, &wanted).await?
            }
            Grant::Enterprise(enterprise) => {
                let assertion = self.vouched(enterprise, discovered, &wanted).await?;
                grant::jwt_bearer(assertion, discovered, &wanted)
            }
            Grant::AuthorizationCode | Grant::DeviceCode => {
                return Err(OAuthError::config("this grant needs a person"));
            }
        };
        let key = self.key(discovered).await?;
        let endpoint = self
            .core
            .endpoint(discovered, client.as_ref(), key.as_deref());
        let token = endpoint.token(&fields).await?;
        Ok(with_requested(token, &wanted))
    }

    /// The identity provider's word for the user, for one use.
    async fn vouched(
        &self,
        enterprise: &Enterprise,
        discovered: &Discovered,
        wanted: &[String],
    ) -> Result<SecretString, OAuthError> {
        let provider = ServerMetadata {
            issuer: enterprise.token_endpoint.clone(),
            token_endpoint: Some(enterprise.token_endpoint.clone()),
            ..ServerMetadata::default()
        };
        let proof = match &enterprise.client_secret {
            Some(secret) => Proof::Basic(secret.resolve().await?),
            None => Proof::None,
        };
        let client = Client {
            id: enterprise.client_id.clone(),
            proof,
            dynamic: false,
        };
        let endpoint = TokenEndpoint {
            wire: &self.core.wire,
            server: &provider,
            client: Some(&client),
            key: None,
            dpop: crate::Dpop::Off,
            nonces: &self.core.nonces,
            now: self.core.clock.wall(),
        };
        let principal = &self.state.principal;
        let fields = enterprise
            .exchange_fields(discovered, principal, wanted)
            .await?;
        let issued = endpoint.issue(&fields).await?;
        if issued.kind.as_deref() != Some(ID_JAG) {
            return Err(OAuthError::protocol(
                "the identity provider gave a token of another type than was asked for",
            ));
        }
        Ok(issued.token.access().clone())
    }

    /// A token that the user consents to: now, where the host can ask; later otherwise.
    async fn authorize(
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
        let end = self.core.clock.wall() + self.core.pending_life;
        records.keep_pending(&handle, pending, end).await?;
        let before = records
            .account(&self.state.principal)
            .await?
            .pending
            .clone();
        records
            .change_account(&self.state.principal, |account| {
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

    /// The principal's key, where tokens are bound to one; made once, the same in all replicas.
    pub(crate) async fn key(
        &self,
        discovered: &Discovered,
    ) -> Result<Option<Arc<DpopKey>>, OAuthError> {
        if !self.core.binds(discovered)? {
            return Ok(None);
        }
        if let Some(key) = self.state.key.load_full() {
            return Ok(Some(key));
        }
        let new = DpopKey::generate()?;
        let account = self
            .core
            .records
            .change_account(&self.state.principal, |account| {
                account
                    .dpop_key
                    .get_or_insert_with(|| new.to_text().expose_secret().to_owned());
            })
            .await?;
        let text = SecretString::from(account.dpop_key.clone().unwrap_or_default());
        let key = Arc::new(DpopKey::from_text(&text)?);
        self.state.key.store(Some(Arc::clone(&key)));
        Ok(Some(key))
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
