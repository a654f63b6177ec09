//! One principal at one server: what it was challenged with, who issues its tokens, its key.

mod bound_key;
mod limiter;
mod proof;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use mcp_core::auth::time::Instant;
use mcp_core::auth::{
    Challenge, CredentialError, CredentialErrorKind, CredentialProvider as _, CredentialRequest,
    Credentials, Expiry, Principal, RefreshingToken, Revision,
};

use self::bound_key::BoundKey;
pub(crate) use self::limiter::Limiter;
use self::proof::Signing;

use crate::OAuthError;
use crate::core::Core;
use crate::discovery::Discovered;
use crate::records::Account;
use crate::source::{Source, SourceHandle};

/// How long "nothing is stored" is believed before the store is asked again.
const PROBE_PAUSE: Duration = Duration::from_secs(5);

/// What the latest challenge said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Challenged {
    pub(crate) hint: Option<String>,
    pub(crate) scopes: Vec<String>,
}

/// What a session and its source share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) principal: Principal,
    pub(crate) challenged: Mutex<Challenged>,
    pub(crate) key: BoundKey,
    /// The authorization that the user was told of, so that nobody is told of two.
    pub(crate) prepared: Mutex<Option<Prepared>>,
    pub(crate) limiter: Limiter,
}

#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) required: mcp_core::auth::AuthorizationRequired,
    pub(crate) until: Instant,
}

/// The tokens of one issuer.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) source: Arc<Source>,
    pub(crate) refreshing: RefreshingToken,
}

pub(crate) struct Session {
    core: Arc<Core>,
    pub(crate) state: Arc<State>,
    pub(crate) active: ArcSwapOption<Active>,
    /// Held while finding out who issues the tokens.
    settling: tokio::sync::Mutex<Option<Instant>>,
    signing: Signing,
    /// The stored token that was tried last although authorization was needed.
    tried: Mutex<Option<Revision>>,
}

impl Session {
    pub(crate) fn new(core: Arc<Core>, principal: Principal) -> Self {
        Self {
            core,
            state: Arc::new(State {
                principal,
                challenged: Mutex::default(),
                key: BoundKey::default(),
                prepared: Mutex::default(),
                limiter: Limiter::default(),
            }),
            active: ArcSwapOption::empty(),
            settling: tokio::sync::Mutex::new(None),
            signing: Signing::default(),
            tried: Mutex::default(),
        }
    }

    /// What is held, without waiting; `None` when it has to be waited for.
    pub(crate) fn held(
        &self,
        request: CredentialRequest<'_>,
    ) -> Option<Result<Credentials, CredentialError>> {
        let active = self.active.load();
        let held = active
            .as_ref()?
            .refreshing
            .credentials(request)
            .now()
            .ok()?;
        match held {
            Ok(credentials) if self.is_new(&credentials, request) => None,
            held => Some(held.and_then(|credentials| self.signed(credentials, request))),
        }
    }

    /// Credentials, or none at all while nobody has asked for any: the server's challenge says
    /// where to get them.
    pub(crate) async fn credentials(
        &self,
        request: CredentialRequest<'_>,
    ) -> Result<Credentials, CredentialError> {
        let Some(active) = self.stored().await? else {
            return Ok(Credentials::anonymous());
        };
        let credentials = match active.refreshing.credentials(request).await {
            Err(error) if matches!(error.kind(), CredentialErrorKind::NeedsAuthorization(_)) => {
                // Remembered for a while; but the user may have answered at another replica.
                let Some(active) = self.answered_elsewhere(&active).await? else {
                    return Err(error);
                };
                active.refreshing.credentials(request).await
            }
            // What is stored has ended, and meanwhile the server has moved to another issuer.
            Err(_) if active.source.moved() => {
                let active = self.settle(false).await?;
                active.refreshing.credentials(request).await
            }
            outcome => outcome,
        };
        let credentials = credentials?;
        self.learn_key(&credentials, request).await;
        self.signed(credentials, request)
    }

    /// Remembers that the stored token is no way out.
    pub(crate) async fn tried(&self, active: &Active) -> Result<(), OAuthError> {
        let records = &self.core.records;
        let key = records.token_key(&self.state.principal, &active.source.issuer);
        let stored = records.store().load(&key).await?;
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner) =
            stored.map(|stored| stored.revision);
        Ok(())
    }

    /// Begins anew with a token that is stored and was not tried here.
    async fn answered_elsewhere(&self, active: &Active) -> Result<Option<Arc<Active>>, OAuthError> {
        let records = &self.core.records;
        let key = records.token_key(&self.state.principal, &active.source.issuer);
        let Some(stored) = records.store().load(&key).await? else {
            return Ok(None);
        };
        let ended =
            matches!(stored.token.expiry(), Expiry::At(end) if end <= self.core.clock.wall());
        let tried = self
            .tried
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(stored.revision);
        if ended || tried == Some(stored.revision) {
            return Ok(None);
        }
        let account = records.account(&self.state.principal).await?;
        let issuer = &active.source.issuer;
        self.activate(issuer, active.source.known(), &account)
            .map(Some)
    }

    /// The tokens that are known, or that another process or an earlier one has stored.
    async fn stored(&self) -> Result<Option<Arc<Active>>, OAuthError> {
        if let Some(active) = self.active.load_full() {
            return Ok(Some(active));
        }
        let mut probed = self.settling.lock().await;
        if let Some(active) = self.active.load_full() {
            return Ok(Some(active));
        }
        let now = self.core.clock.now();
        if probed.is_some_and(|at| now.saturating_duration_since(at) < PROBE_PAUSE) {
            return Ok(None);
        }
        let records = &self.core.records;
        let account = records.account(&self.state.principal).await?;
        if let Some(issuer) = &account.issuer {
            let key = records.token_key(&self.state.principal, issuer);
            if records.store().load(&key).await?.is_some() {
                return Ok(Some(self.activate(issuer, None, &account)?));
            }
        }
        *probed = Some(now);
        Ok(None)
    }

    /// Finds out who issues the tokens, anew where `again`.
    pub(crate) async fn settle(&self, again: bool) -> Result<Arc<Active>, OAuthError> {
        let _one = self.settling.lock().await;
        let current = self.active.load_full();
        if let Some(active) = &current
            && !again
            && active.source.known().is_some()
        {
            return Ok(Arc::clone(active));
        }
        let records = &self.core.records;
        let principal = &self.state.principal;
        let account = records.account(principal).await?;
        self.state.key.learn(&account)?;
        let known = match &current {
            Some(active) => Some(active.source.issuer.to_string()),
            None => account.issuer.clone(),
        };
        let hint = self.challenged().hint.or_else(|| account.hint.clone());
        let discovered = self
            .core
            .discovered(again, hint.as_deref(), known.as_deref())
            .await;
        let discovered = match (discovered, current) {
            (Ok(discovered), Some(active)) if discovered.issuer() == &*active.source.issuer => {
                active.source.learn(discovered);
                return Ok(active);
            }
            (Ok(discovered), _) => discovered,
            // The metadata cannot be had right now; what is known was checked once.
            (Err(error), Some(active))
                if error.is_transient() && active.source.known().is_some() =>
            {
                return Ok(active);
            }
            (Err(error), _) => return Err(error),
        };
        let issuer = discovered.issuer().to_owned();
        let account = records
            .change_account(principal, |account| {
                account.issuer = Some(issuer.clone());
                account.hint.clone_from(&hint);
            })
            .await?;
        self.activate(&issuer, Some(discovered), &account)
    }

    fn activate(
        &self,
        issuer: &str,
        discovered: Option<Arc<Discovered>>,
        account: &Account,
    ) -> Result<Arc<Active>, OAuthError> {
        self.state.key.learn(account)?;
        let source = Arc::new(Source::new(
            Arc::clone(&self.core),
            Arc::clone(&self.state),
            issuer.into(),
            discovered,
        ));
        let key = self.core.records.token_key(&self.state.principal, issuer);
        let store = Arc::clone(self.core.records.store());
        let refreshing = RefreshingToken::new(SourceHandle(Arc::clone(&source)))
            .fetch_deadline(self.core.fetch_deadline)
            .clock(Arc::clone(&self.core.clock))
            .store(store, key)
            .store_policy(self.core.store_policy);
        let active = Arc::new(Active { source, refreshing });
        self.active.store(Some(Arc::clone(&active)));
        Ok(active)
    }

    pub(crate) fn challenged(&self) -> Challenged {
        let challenged = self.state.challenged.lock();
        challenged.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers what a challenge said. One that says nothing changes nothing.
    pub(crate) fn challenge(&self, heard: Challenged) {
        let mut challenged = self
            .state
            .challenged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if heard.hint.is_some() {
            challenged.hint = heard.hint;
        }
        if !heard.scopes.is_empty() {
            challenged.scopes = heard.scopes;
        }
    }
}

impl Challenged {
    pub(crate) fn new(challenges: &[Challenge]) -> Self {
        let ours = || {
            challenges
                .iter()
                .filter(|challenge| challenge.is("Bearer") || challenge.is("DPoP"))
        };
        let mut scopes: Vec<String> = Vec::new();
        for scope in ours().flat_map(Challenge::scopes) {
            if !scopes.iter().any(|known| known == scope) {
                scopes.push(scope.to_owned());
            }
        }
        Self {
            hint: ours()
                .find_map(Challenge::resource_metadata)
                .map(str::to_owned),
            scopes,
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("state", &self.state)
            .field("active", &self.active.load())
            .finish_non_exhaustive()
    }
}
