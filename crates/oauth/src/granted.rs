//! What a principal holds, for whoever explains it.

use mcp_core::auth::{Expiry, Principal};

use crate::{Authorized, OAuth, OAuthError};

impl OAuth {
    /// What was granted to a principal and is stored, whether or not it has ended; `None` where
    /// nothing is. Asks no server.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn granted(&self, principal: &Principal) -> Result<Option<Authorized>, OAuthError> {
        let records = &self.core.records;
        let session = self.session(principal);
        // Where everybody has the program's own token, that is the one.
        let principal = &session.state.principal;
        let account = records.account(principal).await?;
        let Some(issuer) = &account.issuer else {
            return Ok(None);
        };
        let key = records.token_key(principal, issuer);
        let Some(stored) = records.store().load(&key).await? else {
            return Ok(None);
        };
        Ok(Some(Authorized {
            principal: principal.clone(),
            server: self.core.id.clone(),
            issuer: issuer.clone(),
            scopes: stored.token.scopes().unwrap_or_default().to_vec(),
            expires_at: match stored.token.expiry() {
                Expiry::At(end) => Some(end),
                _ => None,
            },
        }))
    }
}
