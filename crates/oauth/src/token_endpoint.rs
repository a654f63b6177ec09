//! Requests to the token endpoint (RFC 6749, section 5; RFC 9449, section 5).

use std::fmt;
use std::time::SystemTime;

use http::{HeaderName, HeaderValue};
use mcp_core::auth::{Expiry, ExposeSecret as _, SecretString, Token};
use mcp_http::HttpUrl;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::OAuthError;
use crate::client::Client;
use crate::dpop::{Dpop, DpopKey};
use crate::metadata::ServerMetadata;
use crate::nonces::Nonces;
use crate::wire::{self, Answer, Wire};

pub(crate) const WHAT: &str = "the token request";
const PROOF: HeaderName = HeaderName::from_static("dpop");
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// One authorization server's token endpoint, as one client of it with one key.
pub(crate) struct TokenEndpoint<'a> {
    pub(crate) wire: &'a Wire,
    pub(crate) server: &'a ServerMetadata,
    /// `None` where the grant itself names the client.
    pub(crate) client: Option<&'a Client>,
    pub(crate) key: Option<&'a DpopKey>,
    pub(crate) dpop: Dpop,
    pub(crate) nonces: &'a Nonces,
    pub(crate) now: SystemTime,
}

/// The fields of a grant; values that are secret and values that are not look alike here.
pub(crate) type Fields = Vec<(&'static str, SecretString)>;

#[derive(Deserialize)]
struct TokenAnswer<'a> {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(borrow, default)]
    expires_in: Option<&'a RawValue>,
    /// Not of any RFC: issuers use this name or the next for the life of the refresh token, and 0
    /// for one without an end.
    #[serde(borrow, default)]
    refresh_expires_in: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refresh_token_expires_in: Option<&'a RawValue>,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    issued_token_type: Option<String>,
}

/// A token and how its issuer called its type.
pub(crate) struct Issued {
    pub(crate) token: Token,
    pub(crate) token_type: Option<String>,
    pub(crate) kind: Option<String>,
}

impl TokenEndpoint<'_> {
    /// Asks for a token that is to be sent to the MCP server.
    pub(crate) async fn token(&self, fields: &Fields) -> Result<Token, OAuthError> {
        let issued = self.issue(fields).await?;
        let kind = issued.token_type.as_deref().unwrap_or("Bearer");
        let bound = kind.eq_ignore_ascii_case("DPoP");
        if bound && self.key.is_some() {
            return Ok(issued.token.with_scheme("DPoP"));
        }
        if !kind.eq_ignore_ascii_case("Bearer") {
            return Err(OAuthError::protocol(
                "the authorization server gave a token of a type that was not asked for",
            ));
        }
        if self.dpop == Dpop::Require {
            // The protection was asked for; a token without it is not used (RFC 9449, section 5).
            return Err(OAuthError::protocol(
                "the authorization server gave a bearer token although a bound one is required",
            ));
        }
        Ok(issued.token)
    }

    /// Asks for a token of any type.
    pub(crate) async fn issue(&self, fields: &Fields) -> Result<Issued, OAuthError> {
        let endpoint = self.server.token_endpoint.as_deref().ok_or_else(|| {
            OAuthError::protocol("the authorization server's metadata names no token endpoint")
        })?;
        let url = self.wire.endpoint("the token endpoint", endpoint)?;
        let mut answer = self.send(&url, fields).await?;
        // Each once: a server that asks again has no use for what it gave.
        let (mut nonce, mut time) = (true, true);
        while let Some(wanted) = self.wanted(&answer, &url) {
            let first = match wanted {
                Wanted::Nonce => std::mem::take(&mut nonce),
                Wanted::Time => std::mem::take(&mut time),
            };
            if !first {
                break;
            }
            answer = self.send(&url, fields).await?;
        }
        let secrets = || fields.iter().map(|(_, value)| value.clone());
        if !answer.status.is_success() {
            let own = self.client.and_then(Client::secrets);
            return Err(wire::refusal(WHAT, &answer, secrets().chain(own)));
        }
        read(&answer, self.now)
    }

    async fn send(&self, url: &HttpUrl, fields: &Fields) -> Result<Answer, OAuthError> {
        let presented = match self.client {
            Some(client) => client.present(self.server, self.now)?,
            None => crate::client::Presented::default(),
        };
        let mut headers = presented.headers;
        if let Some(key) = self.key {
            let nonce = self.nonces.of(url.as_str());
            let now = self.nonces.time_at(url.as_str(), self.now);
            let proof = key.proof("POST", url.as_str(), nonce.as_deref(), None, now)?;
            let mut proof = HeaderValue::from_str(&proof)
                .map_err(|_| OAuthError::protocol("the proof cannot be sent"))?;
            proof.set_sensitive(true);
            headers.insert(PROOF, proof);
        }
        let body = wire::form(
            fields
                .iter()
                .chain(&presented.fields)
                .map(|(name, value)| (*name, value.expose_secret())),
        );
        self.wire
            .post(WHAT, url, headers, body)
            .await
            .inspect(|answer| {
                if let Some(nonce) = answer.headers.get(NONCE) {
                    self.nonces.learn(url.as_str(), nonce);
                }
            })
    }

    /// What the proof lacked, if that is why there is no token: the code or refresh token has not been
    /// spent then (RFC 9449, sections 5 and 8).
    fn wanted(&self, answer: &Answer, url: &HttpUrl) -> Option<Wanted> {
        #[derive(Deserialize)]
        struct Said {
            error: String,
        }
        self.key?;
        if !answer.status.is_client_error() {
            return None;
        }
        let said: Said = serde_json::from_slice(&answer.body).ok()?;
        match said.error.as_str() {
            "use_dpop_nonce" if answer.headers.contains_key(NONCE) => Some(Wanted::Nonce),
            // Of another time than the server's, maybe.
            "invalid_dpop_proof" => {
                let learned = self.nonces.learn_time(url.as_str(), answer.date?, self.now);
                learned.then_some(Wanted::Time)
            }
            _ => None,
        }
    }
}

/// What a proof lacked.
enum Wanted {
    Nonce,
    Time,
}

fn read(answer: &Answer, now: SystemTime) -> Result<Issued, OAuthError> {
    let read: TokenAnswer<'_> = serde_json::from_slice(&answer.body)
        // The parser's error may quote a token.
        .map_err(|_| OAuthError::protocol("the answer of the token endpoint is malformed"))?;
    if read.access_token.is_empty() {
        return Err(OAuthError::protocol(
            "the answer of the token endpoint has an empty token",
        ));
    }
    let expiry = read
        .expires_in
        .map_or(Expiry::Unknown, |json| Expiry::from_expires_in(json.get()));
    let mut token = Token::new(read.access_token).with_expiry(expiry);
    if let Some(refresh) = read.refresh_token.filter(|refresh| !refresh.is_empty()) {
        token = token.with_refresh_token(refresh);
        let life = read.refresh_expires_in.or(read.refresh_token_expires_in);
        let life = life.map(|json| Expiry::from_expires_in(json.get()));
        if let Some(Expiry::In(life)) = life
            && let Some(end) = now.checked_add(life).filter(|_| !life.is_zero())
        {
            token = token.with_refresh_end(end);
        }
    }
    if let Some(scope) = read.scope {
        token = token.with_scopes(scope.split_ascii_whitespace());
    }
    Ok(Issued {
        token,
        token_type: read.token_type,
        kind: read.issued_token_type,
    })
}

impl fmt::Debug for TokenEndpoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoint")
            .field("issuer", &self.server.issuer)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
