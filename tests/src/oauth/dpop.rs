//! Proofs of possession, as a server checks them (RFC 9449, section 4.3).

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Reply;
use crate::fault::Request;

/// How far the clock of a client may be off, in seconds.
const SKEW: u64 = 300;

/// What the server asks of proofs, and the ones that it has seen.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    /// Whether tokens are bound to the key of the proof that is asked with.
    pub(super) binding: bool,
    /// The nonce that each proof must have now.
    pub(super) nonce: Option<String>,
    used: BTreeSet<String>,
}

/// Why a proof is not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    Invalid(&'static str),
    /// It lacks this nonce.
    Nonce(String),
}

impl Proofs {
    /// The thumbprint of the key that this request proves to have; `None` where it proves nothing
    /// or nobody looks. `token` is the access token that goes with it, if one does.
    pub(super) fn key(
        &mut self,
        request: &Request,
        url: &str,
        token: Option<&str>,
    ) -> Result<Option<String>, Refusal> {
        let mut proofs = request.headers.iter().filter(|(name, _)| name == "dpop");
        match (proofs.next(), proofs.next()) {
            _ if !self.binding => Ok(None),
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(Refusal::Invalid("two proofs")),
            (Some((_, proof)), None) => self.check(proof, &request.method, url, token).map(Some),
        }
    }

    fn check(
        &mut self,
        proof: &str,
        method: &str,
        url: &str,
        token: Option<&str>,
    ) -> Result<String, Refusal> {
        let (header, claims) = verified(proof).ok_or(Refusal::Invalid("not signed by its key"))?;
        let must = |so: bool, what| {
            if so {
                Ok(())
            } else {
                Err(Refusal::Invalid(what))
            }
        };
        must(claims["htm"] == method, "for another method")?;
        must(claims["htu"] == url, "for another URL")?;
        let made = claims["iat"].as_u64().unwrap_or_default();
        must(now().abs_diff(made) <= SKEW, "too old or too new")?;
        let digest = token.map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token)));
        must(
            claims["ath"].as_str() == digest.as_deref(),
            "for another token",
        )?;
        if let Some(nonce) = self
            .nonce
            .as_ref()
            .filter(|nonce| claims["nonce"] != **nonce)
        {
            return Err(Refusal::Nonce(nonce.clone()));
        }
        let id = claims["jti"].as_str().unwrap_or_default().to_owned();
        must(!id.is_empty() && self.used.insert(id), "used before")?;
        thumbprint(&header["jwk"]).ok_or(Refusal::Invalid("not signed by its key"))
    }
}

impl Refusal {
    /// As the token endpoint says it (sections 5 and 8).
    pub(super) fn at_token_endpoint(self) -> Reply {
        match self {
            Self::Invalid(why) => Reply::error("invalid_dpop_proof", why).header("Date", &date()),
            Self::Nonce(nonce) => {
                Reply::error("use_dpop_nonce", "with this nonce").header("DPoP-Nonce", &nonce)
            }
        }
    }

    /// As the resource says it (sections 7.1 and 9).
    pub(super) fn at_resource(self) -> Reply {
        match self {
            Self::Invalid(why) => unauthorized("invalid_dpop_proof", why).header("Date", &date()),
            Self::Nonce(nonce) => {
                unauthorized("use_dpop_nonce", "with this nonce").header("DPoP-Nonce", &nonce)
            }
        }
    }
}

/// A 401 of the resource's.
pub(super) fn unauthorized(code: &str, why: &str) -> Reply {
    let challenge = format!(r#"DPoP error="{code}", error_description="{why}", algs="ES256""#);
    Reply::json(401, &json!({})).header("WWW-Authenticate", &challenge)
}

/// Header and claims of a proof whose signature is that of the key in it.
fn verified(proof: &str) -> Option<(Value, Value)> {
    let (signed, signature) = proof.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
    let claims: Value = serde_json::from_slice(&decode(claims)?).ok()?;
    let key = &header["jwk"];
    if header["typ"] != "dpop+jwt" || header["alg"] != "ES256" || key.get("d").is_some() {
        return None;
    }
    let mut point = vec![4];
    for name in ["x", "y"] {
        point.extend(decode(key[name].as_str()?)?);
    }
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(signed.as_bytes(), &decode(signature)?)
        .ok()?;
    Some((header, claims))
}

/// The members in lexical order, without spaces (RFC 7638).
fn thumbprint(key: &Value) -> Option<String> {
    let member = |name: &str| key[name].as_str();
    let text = format!(
        r#"{{"crv":"{}","kty":"{}","x":"{}","y":"{}"}}"#,
        member("crv")?,
        member("kty")?,
        member("x")?,
        member("y")?
    );
    Some(URL_SAFE_NO_PAD.encode(Sha256::digest(text)))
}

/// As servers say what time it is with them.
fn date() -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server goes by a clock of its own, whatever a test does to its client's"
)]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
