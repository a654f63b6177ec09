//! JWTs that this side signs (RFC 7519, RFC 7515 compact form).

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::random::base64url;
use crate::{OAuthError, SigningKey};

/// `header.claims.signature`.
pub(crate) fn sign(header: &Value, claims: &Value, key: &SigningKey) -> Result<String, OAuthError> {
    sign_encoded(&base64url(header.to_string()), claims, key)
}

/// The same with a header that has been encoded before.
pub(crate) fn sign_encoded(
    header: &str,
    claims: &Value,
    key: &SigningKey,
) -> Result<String, OAuthError> {
    let claims = base64url(claims.to_string());
    let mut jwt = String::with_capacity(header.len() + claims.len() + 90);
    jwt.push_str(header);
    jwt.push('.');
    jwt.push_str(&claims);
    let signature = base64url(key.sign(jwt.as_bytes())?);
    jwt.push('.');
    jwt.push_str(&signature);
    Ok(jwt)
}

/// Calendar time as JWTs count it.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
