//! Ending an authorization: revoked where it was given, forgotten here.

use std::future::Future;
use std::time::Duration;

use http::HeaderMap;
use mcp_core::auth::{ExposeSecret as _, Principal, SecretString, Token};
use tokio::time::timeout;

use crate::client::Registration;
use crate::discovery::Discovered;
use crate::records::Account;
use crate::{OAuth, OAuthError, wire};

const WHAT: &str = "the revocation";
/// Asking the store, and deleting there: each for so long.
const STORING: Duration = Duration::from_secs(5);
/// All that the authorization server is asked for.
const REVOKING: Duration = Duration::from_secs(15);

/// How a logout ended. Nothing is stored any more in either case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoggedOut {
    /// Whether there was a token. There is none where another logout has just taken it.
    pub had_token: bool,
    /// Whether the authorization server confirmed that it is worthless now.
    pub revoked: bool,
}

/// What is to be given up.
struct Login {
    account: Account,
    /// With the issuer that is asked to revoke it.
    token: Option<(String, Token)>,
}

impl OAuth {
    /// Revokes a principal's tokens (RFC 7009) and deletes all that is stored of it, whatever the
    /// authorization server answers. The registration of this program stays.
    ///
    /// Runs to its end even if the future is dropped: what is deleted here and not revoked there
    /// could never be revoked again. It ends after 25 s at the latest.
    ///
    /// # Errors
    /// When the store fails. A token that could be read there is revoked all the same.
    pub async fn logout(&self, principal: &Principal) -> Result<LoggedOut, OAuthError> {
        // Where everybody has the program's own token, that is the one to end.
        let principal = self.session(principal).state.principal.clone();
        let this = self.clone();
        let work = tokio::spawn(async move { this.log_out(&principal).await });
        work.await
            .unwrap_or_else(|_| Err(OAuthError::unavailable("the logout")))
    }

    async fn log_out(&self, principal: &Principal) -> Result<LoggedOut, OAuthError> {
        let Login { account, token } = in_time(self.stored_login(principal)).await?;
        // Deleted first: whatever happens at the server, nothing is left here.
        let deleted = in_time(self.delete_login(principal, &account)).await;
        self.forget_session(principal);
        let outcome = LoggedOut {
            had_token: token.is_some(),
            revoked: match &token {
                Some((issuer, token)) => self.revoke(&account, issuer, token).await,
                None => false,
            },
        };
        // Who asked meanwhile may have found the token just before it was deleted.
        self.forget_session(principal);
        deleted?;
        tracing::info!(server = %self.core.id, principal = %principal, "oauth_logged_out");
        Ok(outcome)
    }

    async fn stored_login(&self, principal: &Principal) -> Result<Login, OAuthError> {
        let records = &self.core.records;
        let account = records.account(principal).await?;
        let token = match account.issuer.clone() {
            Some(issuer) => {
                let key = records.token_key(principal, &issuer);
                let stored = records.store().load(&key).await?;
                stored.map(|stored| (issuer, stored.token))
            }
            None => None,
        };
        Ok(Login { account, token })
    }

    async fn delete_login(
        &self,
        principal: &Principal,
        account: &Account,
    ) -> Result<(), OAuthError> {
        let records = &self.core.records;
        if let Some(issuer) = &account.issuer {
            let key = records.token_key(principal, issuer);
            records.store().delete(&key).await?;
        }
        if let Some(pending) = &account.pending {
            records.forget_pending(pending).await?;
        }
        records.forget_account(principal).await
    }

    fn forget_session(&self, principal: &Principal) {
        if let Some(session) = self.sessions.get(principal) {
            session.active.store(None);
            self.sessions.invalidate(principal);
        }
    }

    /// Whether the authorization server has confirmed it, in time.
    async fn revoke(&self, account: &Account, issuer: &str, token: &Token) -> bool {
        let asked = timeout(REVOKING, self.ask_to_revoke(account, issuer, token)).await;
        match asked.unwrap_or_else(|_| Err(OAuthError::unavailable(WHAT))) {
            Ok(revoked) => revoked,
            Err(error) => {
                tracing::warn!(server = %self.core.id, %error, "oauth_not_revoked");
                false
            }
        }
    }

    async fn ask_to_revoke(
        &self,
        account: &Account,
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

async fn in_time<T>(stored: impl Future<Output = Result<T, OAuthError>>) -> Result<T, OAuthError> {
    let stored = timeout(STORING, stored).await;
    stored.unwrap_or_else(|_| Err(OAuthError::unavailable("the store")))
}
