//! Proofs of possession beside a session's tokens (RFC 9449).

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::header::AUTHORIZATION;
use mcp_core::auth::time::Instant;
use mcp_core::auth::{CredentialError, CredentialRequest, Credentials, Fingerprint};
use tokio::sync::Mutex;

use super::Session;
use crate::random::sha256;

/// The bound token that was signed for last.
#[derive(Default)]
pub(super) struct Signing {
    /// Its fingerprint, and its digest as proofs carry it.
    digest: ArcSwapOption<(Fingerprint, String)>,
    /// Held while finding out which key a token is bound to. When that last failed.
    learning: Mutex<Option<Instant>>,
}

/// How long a store that did not say which key a token is bound to is not asked again.
const NOT_ASKED: Duration = Duration::from_secs(1);

impl Signing {
    /// The digest of a token, if its key is known.
    fn digest_of(&self, credentials: &Credentials) -> Option<Arc<(Fingerprint, String)>> {
        let known = self.digest.load_full();
        known.filter(|known| known.0 == credentials.fingerprint())
    }
}

impl Session {
    /// Whether the credentials are a bound token that was not signed for yet: it may come from a
    /// login at another replica, with a key of its own.
    pub(super) fn is_new(&self, credentials: &Credentials, request: CredentialRequest<'_>) -> bool {
        request.uri.is_some()
            && bound(credentials).is_some()
            && self.signing.digest_of(credentials).is_none()
    }

    /// Looks which key a token is bound to, once for each token. While the store does not answer, the
    /// key is taken to be the one that is known.
    pub(super) async fn learn_key(
        &self,
        credentials: &Credentials,
        request: CredentialRequest<'_>,
    ) {
        if !self.is_new(credentials, request) {
            return;
        }
        let mut failed = self.signing.learning.lock().await;
        let is_paused = failed.is_some_and(|at| self.core.clock.now() < at + NOT_ASKED);
        if is_paused || !self.is_new(credentials, request) {
            return;
        }
        let account = self.core.records.account(&self.state.principal).await;
        if let Err(error) = account.and_then(|account| self.state.key.learn(&account)) {
            tracing::debug!(server = %self.core.id, %error, "oauth_key_not_looked_up");
            *failed = Some(self.core.clock.now());
            return;
        }
        if let Some(token) = bound(credentials) {
            let made = (credentials.fingerprint(), sha256(token));
            self.signing.digest.store(Some(Arc::new(made)));
        }
    }

    /// Adds a fresh proof of possession to a bound token (RFC 9449, section 7.1). Its fingerprint
    /// stays that of the token. Where there is no request, such as for the key of a cache, there is
    /// nothing to prove.
    pub(super) fn signed(
        &self,
        credentials: Credentials,
        request: CredentialRequest<'_>,
    ) -> Result<Credentials, CredentialError> {
        let (Some(token), Some(method), Some(uri)) =
            (bound(&credentials), request.method, request.uri)
        else {
            return Ok(credentials);
        };
        let key = self.state.key.known().ok_or_else(|| {
            CredentialError::misconfigured("the key that the token is bound to is not stored")
        })?;
        let digest = self
            .signing
            .digest_of(&credentials)
            .unwrap_or_else(|| Arc::new((credentials.fingerprint(), sha256(token))));
        let url = uri.to_string();
        let nonce = self.core.nonces.of(&url);
        let now = self.core.nonces.time_at(&url, self.core.clock.wall());
        let proof = key
            .proof(
                method.as_str(),
                &url,
                nonce.as_deref(),
                Some(&digest.1),
                now,
            )
            .map_err(CredentialError::from)?;
        Ok(Credentials::builder()
            .merge(&credentials)?
            .volatile_header("DPoP", proof)?
            .build()?)
    }
}

/// The token, if it is bound to a key.
fn bound(credentials: &Credentials) -> Option<&str> {
    let headers = credentials.headers();
    let (_, value) = headers.iter().find(|(name, _)| *name == AUTHORIZATION)?;
    // The scheme first: reading a whole bearer token would cost more than the rest of this.
    let scheme = value.as_bytes().starts_with(b"DPoP ");
    let text = scheme.then(|| value.to_str().ok()).flatten()?;
    text.strip_prefix("DPoP ")
}
