//! What outlives a process, in the token store: accounts, registrations, pending authorizations.

mod begun;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mcp_core::auth::time::SharedClock;
use mcp_core::auth::{
    Expected, Expiry, ExposeSecret as _, Principal, Save, Saved, SecretString, ServerId,
    SharedStore, Token, TokenKey,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use self::begun::Begun;
use crate::OAuthError;
use crate::client::Registration;
use crate::flow::Pending;

/// How often a write is tried again when somebody else wrote.
const TRIES: usize = 8;

/// Records lie beside tokens, so that whatever stores tokens (memory, files, a shared server) makes
/// them survive and lets every replica see them. An issuer is a URL; the keys of records name
/// something else in its place, so neither can be taken for the other. Programs that are configured
/// as different clients share none of them: what was issued to one is of no use to the other.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    store: SharedStore,
    server: ServerId,
    client: Option<Arc<str>>,
    clock: SharedClock,
    /// How long what was begun is kept: authorizations, and accounts of those who did not log in.
    life: Duration,
    begun: Arc<Begun>,
}

/// What is known of one principal at one server, besides the token.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Account {
    /// Who issued the token.
    #[serde(default)]
    pub(crate) issuer: Option<String>,
    /// Where the resource's metadata is.
    #[serde(default)]
    pub(crate) hint: Option<String>,
    /// What was asked for, or has to be asked for at the next login.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    /// The key that tokens are bound to.
    #[serde(default)]
    pub(crate) dpop_key: Option<String>,
    /// The authorization that is under way.
    #[serde(default)]
    pub(crate) pending: Option<String>,
    /// Whether there has been a token. Accounts of others end like the authorizations that they
    /// began: whoever is told to log in and never does would fill the store.
    #[serde(default)]
    pub(crate) lasting: bool,
}

impl Records {
    pub(crate) fn new(
        store: SharedStore,
        server: ServerId,
        client: Option<&str>,
        clock: SharedClock,
        life: Duration,
    ) -> Self {
        Self {
            clock,
            life,
            begun: Arc::default(),
            store,
            server,
            client: client.map(Into::into),
        }
    }

    pub(crate) fn store(&self) -> &SharedStore {
        &self.store
    }

    /// The key of a principal's token.
    pub(crate) fn token_key(&self, principal: &Principal, issuer: &str) -> TokenKey {
        self.key(principal, issuer)
    }

    pub(crate) async fn account(&self, principal: &Principal) -> Result<Account, OAuthError> {
        let found = self.store.load(&self.account_key(principal)).await?;
        let now = self.clock.wall();
        let account = found.and_then(|found| Account::from_token(&found.token, now));
        Ok(account.unwrap_or_default())
    }

    /// Changes an account in one step; gives what it is afterwards.
    pub(crate) async fn change_account(
        &self,
        principal: &Principal,
        change: impl Fn(&mut Account) + Send,
    ) -> Result<Account, OAuthError> {
        let key = self.account_key(principal);
        for _ in 0..TRIES {
            let found = self.store.load(&key).await?;
            let revision = found.as_ref().map(|found| found.revision);
            let now = self.clock.wall();
            let before = found.and_then(|found| Account::from_token(&found.token, now));
            let mut account = before.clone().unwrap_or_default();
            change(&mut account);
            if before.as_ref() == Some(&account) {
                return Ok(account);
            }
            let text = serde_json::to_string(&account)
                .map_err(|_| OAuthError::config("the account cannot be kept"))?;
            let expected = revision.map_or(Expected::Nothing, Expected::Revision);
            let end = now + self.life;
            let expiry = if account.lasting {
                Expiry::Never
            } else {
                Expiry::At(end)
            };
            if self.put(&key, text.into(), expiry, expected).await? {
                if before.is_none() && !account.lasting {
                    self.begun.add(key, end);
                    self.clear_away().await;
                }
                return Ok(account);
            }
        }
        Err(OAuthError::unavailable("the stored account"))
    }

    pub(crate) async fn forget_account(&self, principal: &Principal) -> Result<(), OAuthError> {
        self.store.delete(&self.account_key(principal)).await?;
        Ok(())
    }

    pub(crate) async fn registration(
        &self,
        issuer: &str,
    ) -> Result<Option<Registration>, OAuthError> {
        let found = self.store.load(&self.registration_key(issuer)).await?;
        Ok(found.and_then(|found| Registration::from_text(found.token.access())))
    }

    pub(crate) async fn keep_registration(
        &self,
        issuer: &str,
        registration: &Registration,
    ) -> Result<(), OAuthError> {
        let key = self.registration_key(issuer);
        let text = registration.to_text()?;
        self.put(&key, text, Expiry::Never, Expected::Anything)
            .await?;
        Ok(())
    }

    /// Forgets a registration that its server does not know any more.
    pub(crate) async fn forget_registration(
        &self,
        issuer: &str,
        client_id: &str,
    ) -> Result<(), OAuthError> {
        let known = self.registration(issuer).await?;
        if known.is_some_and(|known| known.client_id == client_id) {
            self.store.delete(&self.registration_key(issuer)).await?;
        }
        Ok(())
    }

    /// The issuer that a client was first used at; this one, if there was none before.
    pub(crate) async fn first_issuer(
        &self,
        client_id: &str,
        issuer: &str,
    ) -> Result<String, OAuthError> {
        // Named by its subject: the client counts here, whoever is configured as it.
        let key = TokenKey::new(&self.server, Principal::local())
            .with_issuer(format!("issuer of {client_id}"));
        for _ in 0..TRIES {
            if let Some(found) = self.store.load(&key).await? {
                return Ok(found.token.access().expose_secret().to_owned());
            }
            if self
                .put(&key, issuer.into(), Expiry::Never, Expected::Nothing)
                .await?
            {
                return Ok(issuer.to_owned());
            }
        }
        Err(OAuthError::unavailable("the stored issuer"))
    }

    pub(crate) async fn keep_pending(
        &self,
        handle: &str,
        pending: &Pending,
    ) -> Result<(), OAuthError> {
        let end = self.clock.wall() + self.life;
        let text = serde_json::to_string(pending)
            .map_err(|_| OAuthError::config("the authorization cannot be kept"))?;
        let key = self.pending_key(handle);
        self.put(&key, text.into(), Expiry::At(end), Expected::Nothing)
            .await?;
        self.begun.add(key, end);
        self.clear_away().await;
        Ok(())
    }

    /// Deletes some of what was begun here and is over. What is begun now does not fail with it.
    async fn clear_away(&self) {
        let now = self.clock.wall();
        for (end, key) in self.begun.take_over(now) {
            if let Err(error) = self.clear(&key, end.max(now)).await {
                tracing::debug!(server = %self.server, %error, "oauth_not_cleared_away");
                self.begun.put_back(key, end);
            }
        }
    }

    /// Deletes what is stored at a key if it ends by then.
    async fn clear(&self, key: &TokenKey, by: SystemTime) -> Result<(), OAuthError> {
        let found = self.store.load(key).await?;
        match found.map(|found| found.token.expiry()) {
            Some(Expiry::At(end)) if end <= by => {
                self.store.delete(key).await?;
            }
            // Written anew since.
            Some(Expiry::At(end)) => self.begun.add(key.clone(), end),
            _ => {}
        }
        Ok(())
    }

    /// Takes a pending authorization out, for whoever comes first.
    pub(crate) async fn take_pending(
        &self,
        handle: &str,
        now: SystemTime,
    ) -> Result<Option<Pending>, OAuthError> {
        let key = self.pending_key(handle);
        let Some(found) = self.store.load(&key).await? else {
            return Ok(None);
        };
        let ours = self.store.delete(&key).await?;
        let alive = matches!(found.token.expiry(), Expiry::At(end) if now < end);
        Ok(if ours && alive {
            serde_json::from_str(found.token.access().expose_secret()).ok()
        } else {
            None
        })
    }

    /// Any other text about a principal, such as a device code.
    pub(crate) async fn note(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<Option<SecretString>, OAuthError> {
        let found = self.store.load(&self.key(principal, name)).await?;
        Ok(found.map(|found| found.token.access().clone()))
    }

    pub(crate) async fn keep_note(
        &self,
        principal: &Principal,
        name: &str,
        text: SecretString,
        end: SystemTime,
    ) -> Result<(), OAuthError> {
        let key = self.key(principal, name);
        self.put(&key, text, Expiry::At(end), Expected::Anything)
            .await?;
        Ok(())
    }

    pub(crate) async fn forget_note(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<(), OAuthError> {
        self.store.delete(&self.key(principal, name)).await?;
        Ok(())
    }

    pub(crate) async fn forget_pending(&self, handle: &str) -> Result<(), OAuthError> {
        self.store.delete(&self.pending_key(handle)).await?;
        Ok(())
    }

    async fn put(
        &self,
        key: &TokenKey,
        text: SecretString,
        expiry: Expiry,
        expected: Expected,
    ) -> Result<bool, OAuthError> {
        let token = Token::new(text).with_expiry(expiry);
        let save = Save::new(&token, SystemTime::UNIX_EPOCH).expecting(expected);
        Ok(matches!(
            self.store.save(key, save).await?,
            Saved::Stored(_)
        ))
    }

    fn account_key(&self, principal: &Principal) -> TokenKey {
        self.key(principal, "account")
    }

    /// Registrations are of the process, not of a principal.
    fn registration_key(&self, issuer: &str) -> TokenKey {
        self.key(&Principal::local(), format!("client {issuer}"))
    }

    fn pending_key(&self, handle: &str) -> TokenKey {
        self.key(&Principal::local(), format!("pending {handle}"))
    }

    fn key(&self, principal: &Principal, issuer: impl Into<Arc<str>>) -> TokenKey {
        let key = TokenKey::new(&self.server, principal).with_issuer(issuer);
        match &self.client {
            Some(client) => key.with_client(Arc::clone(client)),
            None => key,
        }
    }
}

impl Account {
    /// What is stored, unless it has ended: not every store looks at that.
    fn from_token(token: &Token, now: SystemTime) -> Option<Self> {
        if matches!(token.expiry(), Expiry::At(end) if end <= now) {
            return None;
        }
        serde_json::from_str(token.access().expose_secret()).ok()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.dpop_key.zeroize();
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("issuer", &self.issuer)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
