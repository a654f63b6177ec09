//! What others find out about a source's tokens: the account.

use std::sync::PoisonError;

use mcp_core::auth::ExposeSecret as _;

use super::Source;
use crate::OAuthError;
use crate::discovery::Discovered;
use crate::records::Account;

impl Source {
    /// Says in an account who issues the tokens, where it does not say so: it may have ended since
    /// that was found out.
    pub(crate) fn describe(&self, account: &mut Account) {
        if account.issuer.is_some() {
            return;
        }
        account.issuer = Some(self.issuer.to_string());
        let challenged = self.state.challenged.lock();
        let challenged = challenged.unwrap_or_else(PoisonError::into_inner);
        account.hint.clone_from(&challenged.hint);
    }

    /// Makes the account one of somebody who has a token. That token is not lost if this fails.
    pub(super) async fn keep_account(&self, discovered: &Discovered) {
        self.told_of(self.try_to_keep_account(discovered).await);
    }

    /// Writes the account again where the store has lost it, so that other replicas find the token
    /// that was restored. A refresh does not fail with this.
    pub(super) async fn stays_known(&self, discovered: &Discovered) {
        self.told_of(self.try_to_stay_known(discovered).await);
    }

    fn told_of(&self, kept: Result<(), OAuthError>) {
        if let Err(error) = kept {
            tracing::debug!(server = %self.core.id, %error, "oauth_account_not_kept");
        }
    }

    async fn try_to_stay_known(&self, discovered: &Discovered) -> Result<(), OAuthError> {
        let (records, principal) = (&self.core.records, &self.state.principal);
        if records.account(principal).await?.lasting {
            return Ok(());
        }
        let token = records.token_key(principal, &self.issuer);
        if records.store().load(&token).await?.is_none() {
            // Logged out elsewhere: nothing of it comes back.
            return Ok(());
        }
        self.try_to_keep_account(discovered).await
    }

    async fn try_to_keep_account(&self, discovered: &Discovered) -> Result<(), OAuthError> {
        let key = self.state.key.known();
        let key = key.filter(|_| self.core.binds(discovered).unwrap_or_default());
        let records = &self.core.records;
        let kept = records.change_account(&self.state.principal, |account| {
            self.describe(account);
            account.lasting = true;
            if let (None, Some(key)) = (&account.dpop_key, &key) {
                account.dpop_key = Some(key.to_text().expose_secret().to_owned());
            }
        });
        kept.await.map(|_| ())
    }
}
