//! Ending an authorization: revoked where it was given, forgotten here.

use http::HeaderMap;
use mcp_core::auth::{ExposeSecret as _, Principal, SecretString, Token};

use crate::client::Registration;
use crate::discovery::Discovered;
use crate::{OAuth, OAuthError, wire};

const WHAT: &str = "the revocation";

/// How a logout ended. Nothing is stored any more in either case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoggedOut {
    /// Whether there was a token.
    pub had_token: bool,
    /// Whether the authorization server confirmed that it is worthless now.
    pub revoked: bool,
}

impl OAuth {
    /// Revokes a principal's tokens (RFC 7009) and deletes all that is stored of it, whatever the
    /// authorization server answers. The registration of this program stays.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn logout(&self, principal: &Principal) -> Result<LoggedOut, OAuthError> {
        let records = &self.core.records;
        let session = self.session(principal);
        // Where everybody has the program's own token, that is the one to end.
        let principal = &session.state.principal;
        let account = records.account(principal).await?;
        let mut outcome = LoggedOut {
            had_token: false,
            revoked: false,
        };
        if let Some(issuer) = &account.issuer {
            let key = records.token_key(principal, issuer);
            let stored = records.store().load(&key).await?;
            // Deleted first: whatever happens at the server, nothing is left here.
            records.store().delete(&key).await?;
            if let Some(stored) = stored {
                outcome.had_token = true;
                outcome.revoked = match self.revoke(&account, issuer, &stored.token).await {
                    Ok(revoked) => revoked,
                    Err(error) => {
                        tracing::warn!(server = %self.core.id, %error, "oauth_not_revoked");
                        false
                    }
                };
            }
        }
        if let Some(pending) = &account.pending {
            records.forget_pending(pending).await?;
        }
        records.forget_account(principal).await?;
        session.active.store(None);
        self.sessions.invalidate(principal);
        tracing::info!(server = %self.core.id, principal = %principal, "oauth_logged_out");
        Ok(outcome)
    }

    async fn revoke(
        &self,
        account: &crate::records::Account,
        issuer: &str,
        token: &Token,
    ) -> Result<bool, OAuthError> {
        let hint = account.hint.as_deref();
        let discovered = self.core.discovered(false, hint, Some(issuer)).await?;
        if discovered.issuer() != issuer {
            return Ok(false);
        }
        let access = (token.access(), "access_token");
        // The refresh token takes the grant and its access tokens with it (RFC 7009, section 2.1).
        match token.refresh_token() {
            Some(refresh) => {
                let revoked = self
                    .revoke_one(&discovered, token, (refresh, "refresh_token"))
                    .await?;
                // Some servers leave access tokens alone; that one fails is no news then.
                let _ = self.revoke_one(&discovered, token, access).await;
                Ok(revoked)
            }
            None => self.revoke_one(&discovered, token, access).await,
        }
    }

    async fn revoke_one(
        &self,
        discovered: &Discovered,
        token: &Token,
        (secret, kind): (&SecretString, &'static str),
    ) -> Result<bool, OAuthError> {
        let Some(endpoint) = discovered.server.revocation_endpoint.as_deref() else {
            return Ok(false);
        };
        let endpoint = self.core.wire.endpoint(WHAT, endpoint)?;
        let registration = token.extra("client").and_then(Registration::from_text);
        let client = match registration {
            Some(registration) => Some(registration.client()),
            None => self.core.identify(discovered, None).await?.0,
        };
        let mut fields = vec![("token", secret.clone()), ("token_type_hint", kind.into())];
        let mut headers = HeaderMap::new();
        if let Some(client) = &client {
            let presented = client.present(&discovered.server, self.core.clock.wall())?;
            headers = presented.headers;
            fields.extend(presented.fields);
        }
        let body = wire::form(
            fields
                .iter()
                .map(|(name, value)| (*name, value.expose_secret())),
        );
        let answer = self.core.wire.post(WHAT, &endpoint, headers, body).await?;
        if answer.status.is_success() {
            return Ok(true);
        }
        let secrets = fields.into_iter().map(|(_, value)| value);
        Err(wire::refusal(WHAT, &answer, secrets))
    }
}
