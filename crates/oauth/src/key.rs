//! Private keys that sign JWTs (RFC 7518).

use std::fmt;
use std::sync::Arc;

use mcp_core::auth::{ExposeSecret as _, SecretString};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::OAuthError;

/// A private key that signs with `ES256`, `RS256` or `EdDSA`. Cloning copies a pointer; printing shows
/// the algorithm.
#[derive(Clone)]
pub struct SigningKey(Arc<Pair>);

enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(Box<RsaKeyPair>),
    EdDsa(Ed25519KeyPair),
}

impl SigningKey {
    /// Reads a PKCS#8 key in PEM: P-256, RSA (2048 to 4096 bits) or Ed25519.
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
                    .map(|pair| Self(Arc::new(Pair::Rs256(Box::new(pair)))))
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
            return Ok(Self(Arc::new(Pair::Es256(pair))));
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self(Arc::new(Pair::EdDsa(pair))));
        }
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
            return Ok(Self(Arc::new(Pair::Rs256(Box::new(pair)))));
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
        match &*self.0 {
            Pair::Es256(_) => "ES256",
            Pair::Rs256(_) => "RS256",
            Pair::EdDsa(_) => "EdDSA",
        }
    }

    /// The coordinates of a P-256 key.
    pub(crate) fn p256_point(&self) -> Option<([u8; 32], [u8; 32])> {
        let Pair::Es256(pair) = &*self.0 else {
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
        match &*self.0 {
            Pair::Es256(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(failed),
            Pair::EdDsa(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
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
        "the private key cannot be used; P-256, Ed25519 and RSA of 2048 to 4096 bits can, in PKCS#8 with the public key",
    )
}
