//! The client's own assertion, `private_key_jwt` (RFC 7523, section 2.2 and 3).

use std::time::SystemTime;

use mcp_core::auth::SecretString;
use serde_json::json;

use crate::random::token;
use crate::{OAuthError, SigningKey, jwt};

pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Long enough for clocks that differ, short enough to be worthless soon.
const LIFETIME_SECONDS: u64 = 120;

pub(super) fn sign(
    client: &str,
    audience: &str,
    key: &SigningKey,
    key_id: Option<&str>,
    now: SystemTime,
) -> Result<SecretString, OAuthError> {
    let now = jwt::seconds(now);
    let mut header = json!({"alg": key.algorithm(), "typ": "JWT"});
    if let Some(id) = key_id {
        header["kid"] = id.into();
    }
    let claims = json!({
        "iss": client,
        "sub": client,
        "aud": audience,
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
        "jti": token()?,
    });
    jwt::sign(&header, &claims, key).map(SecretString::from)
}
