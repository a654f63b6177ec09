//! Proofs of possession (RFC 9449): a token that is stolen is of no use without the key.

use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_core::auth::{ExposeSecret as _, SecretString};
use serde_json::json;
use zeroize::Zeroizing;

use crate::random::{base64url, sha256, token};
use crate::{OAuthError, SigningKey, jwt};

/// Whether tokens are bound to a key of the principal's.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Dpop {
    /// Never: plain bearer tokens.
    #[default]
    Off,
    /// Where the authorization server says that it understands proofs. A bearer token that it gives
    /// all the same is used.
    Prefer,
    /// Always: an authorization server that cannot, or that gives a bearer token, is an error.
    Require,
}

/// One principal's P-256 key at one server. Printing shows nothing of it.
pub(crate) struct DpopKey {
    key: SigningKey,
    pkcs8: SecretString,
    /// The proof's header with the public key, encoded once.
    header: String,
}

impl DpopKey {
    pub(crate) fn generate() -> Result<Self, OAuthError> {
        let (key, der) = SigningKey::generate()?;
        let pkcs8 = Zeroizing::new(STANDARD.encode(&*der));
        Self::new(key, pkcs8.as_str().into())
    }

    /// Reads what [`to_text`](Self::to_text) gave.
    pub(crate) fn from_text(text: &SecretString) -> Result<Self, OAuthError> {
        let corrupt = || OAuthError::config("the stored DPoP key is not one");
        let der = STANDARD
            .decode(text.expose_secret())
            .map(Zeroizing::new)
            .map_err(|_| corrupt())?;
        Self::new(
            SigningKey::from_pkcs8(&der).map_err(|_| corrupt())?,
            text.clone(),
        )
    }

    fn new(key: SigningKey, pkcs8: SecretString) -> Result<Self, OAuthError> {
        let (x, y) = key
            .p256_point()
            .ok_or_else(|| OAuthError::config("a DPoP key is a P-256 key"))?;
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)});
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
        Ok(Self {
            key,
            pkcs8,
            header: base64url(header.to_string()),
        })
    }

    /// The key as text, for a store.
    pub(crate) fn to_text(&self) -> &SecretString {
        &self.pkcs8
    }

    /// The public key's thumbprint (RFC 7638), as `dpop_jkt` names it.
    pub(crate) fn thumbprint(&self) -> Option<String> {
        let (x, y) = self.key.p256_point()?;
        // The members in lexical order, without spaces.
        Some(sha256(&format!(
            r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
            base64url(x),
            base64url(y)
        )))
    }

    /// A fresh proof. `ath` is the digest of the access token that goes with it, if one does.
    pub(crate) fn proof(
        &self,
        method: &str,
        url: &str,
        nonce: Option<&str>,
        ath: Option<&str>,
        now: SystemTime,
    ) -> Result<String, OAuthError> {
        let target = url.split(['?', '#']).next().unwrap_or(url);
        let mut claims = json!({
            "jti": token()?,
            "htm": method,
            "htu": target,
            "iat": jwt::seconds(now),
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        if let Some(ath) = ath {
            claims["ath"] = ath.into();
        }
        jwt::sign_encoded(&self.header, &claims, &self.key)
    }
}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::Value;

    fn part(jwt: &str, index: usize) -> Vec<u8> {
        URL_SAFE_NO_PAD
            .decode(jwt.split('.').nth(index).unwrap())
            .unwrap()
    }

    #[test]
    fn a_proof_names_the_request_and_its_key_verifies_it() {
        let key = DpopKey::generate().unwrap();
        let kept = DpopKey::from_text(key.to_text()).unwrap();
        assert_eq!(key.thumbprint(), kept.thumbprint());
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000);
        let url = "https://mcp.test/mcp?key=1#x";
        let proof = kept.proof("POST", url, Some("n"), Some("a"), now).unwrap();

        let header: Value = serde_json::from_slice(&part(&proof, 0)).unwrap();
        assert_eq!(header["typ"], "dpop+jwt");
        assert_eq!(header["jwk"].as_object().unwrap().len(), 4);
        let claims: Value = serde_json::from_slice(&part(&proof, 1)).unwrap();
        assert_eq!(claims["htm"], "POST");
        assert_eq!(claims["htu"], "https://mcp.test/mcp");
        assert_eq!(claims["iat"], 1_000);
        assert_eq!(
            (&claims["nonce"], &claims["ath"]),
            (&"n".into(), &"a".into())
        );

        let coordinate = |name: &str| {
            URL_SAFE_NO_PAD
                .decode(header["jwk"][name].as_str().unwrap())
                .unwrap()
        };
        let point = [vec![4], coordinate("x"), coordinate("y")].concat();
        let (signed, _) = proof.rsplit_once('.').unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(signed.as_bytes(), &part(&proof, 2))
            .unwrap();
    }

    #[test]
    fn every_proof_is_fresh() {
        let key = DpopKey::generate().unwrap();
        let proof = || {
            let proof = key.proof("GET", "https://a.test/", None, None, SystemTime::UNIX_EPOCH);
            let claims: Value = serde_json::from_slice(&part(&proof.unwrap(), 1)).unwrap();
            assert!(claims.get("nonce").is_none() && claims.get("ath").is_none());
            claims["jti"].as_str().unwrap().to_owned()
        };
        assert_ne!(proof(), proof());
    }
}
