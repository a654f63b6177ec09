//! The key that a principal's tokens are bound to, as this process knows it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use mcp_core::auth::{ExposeSecret as _, SecretString};

use crate::OAuthError;
use crate::dpop::DpopKey;
use crate::records::Account;

/// What is stored with the account is what counts: after a logout, and a login at another replica,
/// it is another key than before.
#[derive(Debug, Default)]
pub(crate) struct BoundKey(ArcSwapOption<DpopKey>);

impl BoundKey {
    pub(crate) fn known(&self) -> Option<Arc<DpopKey>> {
        self.0.load_full()
    }

    /// Takes over the stored key, if there is one.
    pub(crate) fn learn(&self, account: &Account) -> Result<(), OAuthError> {
        let Some(stored) = account.dpop_key.as_deref() else {
            return Ok(());
        };
        let known = self.known();
        if known.is_some_and(|known| known.to_text().expose_secret() == stored) {
            return Ok(());
        }
        let key = DpopKey::from_text(&SecretString::from(stored))?;
        self.0.store(Some(Arc::new(key)));
        Ok(())
    }
}
