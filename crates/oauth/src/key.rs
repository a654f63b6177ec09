//! Private keys that sign JWTs (RFC 7518).

use std::fmt;
use std::sync::Arc;

use mcp_core::auth::{ExposeSecret as _, SecretString};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::OAuthError;

/// A private key that signs with `ES256`, `ES384`, `RS256`, `PS256` or `EdDSA`. Cloning copies a
/// pointer; printing shows the algorithm.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<Pair>,
    /// One of those that the pair can.
    algorithm: &'static str,
}

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl Pair {
    /// What it can sign with (RFC 7518, section 3.1; RFC 8037); the first unless something else is
    /// wanted.
    fn algorithms(&self) -> [&'static str; 2] {
        match self {
            Self::P256(_) => ["ES256"; 2],
            Self::P384(_) => ["ES384"; 2],
            Self::Rsa(_) => ["RS256", "PS256"],
            Self::Ed25519(_) => ["EdDSA"; 2],
        }
    }
}

impl From<Pair> for SigningKey {
    fn from(pair: Pair) -> Self {
        let [algorithm, _] = pair.algorithms();
        Self {
            pair: Arc::new(pair),
            algorithm,
        }
    }
}

impl SigningKey {
    /// Reads a PKCS#8 key in PEM: P-256, P-384, RSA (2048 to 4096 bits) or Ed25519.
    ///
    /// # Errors
    /// When the text is no such key. The text is not repeated.
    pub fn from_pem(pem: &SecretString) -> Result<Self, OAuthError> {
        let key = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
            // The parser's own error may hold a piece of what it read.
            .map_err(|_| OAuthError::config("the private key is not PEM"))?;
        let der = match &key {
            PrivateKeyDer::Pkcs8(key) => key.secret_pkcs8_der(),
            PrivateKeyDer::Pkcs1(key) => {
                return RsaKeyPair::from_der(key.secret_pkcs1_der())
                    .map(|pair| Pair::Rsa(Box::new(pair)).into())
                    .map_err(|_| unusable());
            }
            _ => {
                return Err(OAuthError::config(
                    "the private key is not PKCS#8; `openssl pkcs8 -topk8 -nocrypt` converts it",
                ));
            }
        };
        Self::from_pkcs8(der)
    }

    /// Reads a PKCS#8 key in DER.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem).
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, OAuthError> {
        let random = SystemRandom::new();
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random) {
            return Ok(Pair::P256(pair).into());
        }
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der, &random) {
            return Ok(Pair::P384(pair).into());
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Pair::Ed25519(pair).into());
        }
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
            return Ok(Pair::Rsa(Box::new(pair)).into());
        }
        Err(unusable())
    }

    /// A new P-256 key, and its PKCS#8 form to keep.
    pub(crate) fn generate() -> Result<(Self, Zeroizing<Vec<u8>>), OAuthError> {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|_| OAuthError::unavailable("randomness"))?;
        let der = Zeroizing::new(document.as_ref().to_vec());
        Ok((Self::from_pkcs8(&der)?, der))
    }

    /// The JWS algorithm that it signs with (RFC 7518, section 3.1; RFC 8037).
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The same key, signing with another algorithm; `None` where it cannot.
    pub fn signing_with(mut self, algorithm: &str) -> Option<Self> {
        let known = self.pair.algorithms();
        self.algorithm = known.into_iter().find(|known| *known == algorithm)?;
        Some(self)
    }

    /// The same key, signing with the first of its algorithms that is accepted; `None` where none is.
    pub(crate) fn accepted_by(mut self, accepts: impl Fn(&str) -> bool) -> Option<Self> {
        let known = self.pair.algorithms();
        self.algorithm = known.into_iter().find(|known| accepts(known))?;
        Some(self)
    }

    /// The coordinates of a P-256 key.
    pub(crate) fn p256_point(&self) -> Option<([u8; 32], [u8; 32])> {
        let Pair::P256(pair) = &*self.pair else {
            return None;
        };
        // Uncompressed: 4, x, y.
        let point = pair.public_key().as_ref();
        let (x, y) = (point.get(1..33)?, point.get(33..65)?);
        Some((x.try_into().ok()?, y.try_into().ok()?))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, OAuthError> {
        let random = SystemRandom::new();
        let failed = |_| OAuthError::unavailable("a signature");
        match &*self.pair {
            Pair::P256(pair) | Pair::P384(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(failed),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let padding: &dyn RsaEncoding = match self.algorithm {
                    "PS256" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                pair.sign(padding, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm())
    }
}

fn unusable() -> OAuthError {
    OAuthError::config(
        "the private key cannot be used; P-256, P-384, Ed25519 and RSA of 2048 to 4096 bits can, in PKCS#8 with the public key",
    )
}

/// A new RSA key in PEM, for the tests of whoever signs with one.
#[cfg(test)]
pub(crate) fn new_rsa_pem() -> String {
    use rsa::Generate as _;
    use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
    let key = rsa::PrivateKey::generate();
    key.to_pkcs8_pem(LineEnding::LF)
        .unwrap()
        .as_str()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{
        ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
        UnparsedPublicKey,
    };

    #[test]
    fn an_rsa_key_signs_with_either_padding() {
        let key = SigningKey::from_pem(&new_rsa_pem().into()).unwrap();
        assert_eq!(key.algorithm(), "RS256");
        let Pair::Rsa(pair) = &*key.pair else {
            panic!("another key");
        };
        let public = pair.public().as_ref().to_vec();
        let signature = key.sign(b"text").unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public)
            .verify(b"text", &signature)
            .unwrap();
        let key = key.signing_with("PS256").unwrap();
        assert_eq!(key.algorithm(), "PS256");
        let signature = key.sign(b"text").unwrap();
        UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &public)
            .verify(b"text", &signature)
            .unwrap();
        assert!(key.signing_with("ES256").is_none());
    }

    #[test]
    fn a_p_384_key_signs() {
        let new =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new());
        let key = SigningKey::from_pkcs8(new.unwrap().as_ref()).unwrap();
        assert_eq!(key.algorithm(), "ES384");
        assert!(key.p256_point().is_none());
        let Pair::P384(pair) = &*key.pair else {
            panic!("another key");
        };
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, pair.public_key().as_ref())
            .verify(b"text", &key.sign(b"text").unwrap())
            .unwrap();
    }
}
