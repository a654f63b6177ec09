//! Randomness, digests and their text form.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::OAuthError;

/// Base64url without padding, as everything in OAuth that is bytes is written.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// 256 random bits as text of 43 unreserved characters: a `state`, a verifier (RFC 7636, section
/// 4.1), a `jti`.
pub(crate) fn token() -> Result<String, OAuthError> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| OAuthError::unavailable("randomness"))?;
    Ok(base64url(bytes))
}

/// BASE64URL(SHA-256(text)).
pub(crate) fn sha256(text: &str) -> String {
    base64url(digest(&SHA256, text.as_bytes()))
}
