//! HS256 tokens for the server that checks them (RFC 7519, RFC 7518 section 3.2).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::report::or_fail;

/// A signing secret of one server, made when that server starts.
#[derive(Clone)]
pub struct Jwt {
    secret: String,
}

impl Jwt {
    /// The `iss` of every token.
    pub const ISSUER: &str = "https://issuer.test";
    /// The `aud` of every token, unless a test says otherwise.
    pub const AUDIENCE: &str = "testbed";

    pub(crate) fn new() -> Result<Self> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        Ok(Self {
            secret: URL_SAFE_NO_PAD.encode(random),
        })
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// A token for `subject` with these scopes, valid for `lifetime` from now.
    ///
    /// `exp` counts whole seconds and the server rejects from the second after it, so a
    /// token of one second is accepted for one to two.
    pub fn mint(&self, subject: &str, lifetime: Duration, scopes: &[&str]) -> String {
        self.sign(&json!({
            "iss": Self::ISSUER,
            "aud": Self::AUDIENCE,
            "sub": subject,
            "exp": now().saturating_add(lifetime).as_secs(),
            "scope": scopes.join(" "),
        }))
    }

    /// A token of `subject` that ended a minute ago.
    pub fn mint_expired(&self, subject: &str) -> String {
        self.sign(&json!({
            "iss": Self::ISSUER,
            "aud": Self::AUDIENCE,
            "sub": subject,
            "exp": now().saturating_sub(Duration::from_secs(60)).as_secs(),
        }))
    }

    /// Signs any claims, such as those of another issuer or audience.
    pub fn sign(&self, claims: &Value) -> String {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        let signed = format!("{header}.{claims}");
        let mut mac =
            or_fail(Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).map_err(Into::into));
        mac.update(signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        format!("{signed}.{signature}")
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").finish_non_exhaustive()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server compares with the machine's clock"
)]
fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
