//! Who this side is to an authorization server, and how it proves it.

mod assertion;
mod method;
mod registration;
mod settings;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderMap};
use mcp_core::auth::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

pub use self::method::{AssertionAudience, ClientAuthMethod};
pub(crate) use self::registration::{Registration, register};
pub(crate) use self::settings::ClientSettings;

use crate::metadata::ServerMetadata;
use crate::{OAuthError, SigningKey};

/// A client with its proof, ready for one authorization server.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) proof: Proof,
    /// Registered by this side, so registering again is an answer to `invalid_client`.
    pub(crate) dynamic: bool,
}

#[derive(Clone)]
pub(crate) enum Proof {
    None,
    Basic(SecretString),
    Post(SecretString),
    Key {
        key: SigningKey,
        id: Option<String>,
        audience: AssertionAudience,
    },
}

/// What a client adds to a request to the token endpoint.
#[derive(Default)]
pub(crate) struct Presented {
    pub(crate) headers: HeaderMap,
    pub(crate) fields: Vec<(&'static str, SecretString)>,
}

impl Client {
    /// What goes with a request to an endpoint of the server.
    pub(crate) fn present(
        &self,
        server: &ServerMetadata,
        now: std::time::SystemTime,
    ) -> Result<Presented, OAuthError> {
        let mut presented = Presented::default();
        let id = || ("client_id", SecretString::from(self.id.as_str()));
        match &self.proof {
            Proof::None => presented.fields.push(id()),
            Proof::Post(secret) => {
                presented.fields.push(id());
                presented.fields.push(("client_secret", secret.clone()));
            }
            Proof::Basic(secret) => {
                let mut value = HeaderValue::from_str(&basic(&self.id, secret))
                    .map_err(|_| OAuthError::config("the client's id or secret cannot be sent"))?;
                value.set_sensitive(true);
                presented.headers.insert(AUTHORIZATION, value);
            }
            Proof::Key { key, id, audience } => {
                let audience = match (audience, &server.token_endpoint) {
                    (AssertionAudience::TokenEndpoint, Some(endpoint)) => endpoint,
                    _ => &server.issuer,
                };
                let assertion = assertion::sign(&self.id, audience, key, id.as_deref(), now)?;
                presented
                    .fields
                    .push(("client_assertion_type", assertion::TYPE.into()));
                presented.fields.push(("client_assertion", assertion));
            }
        }
        Ok(presented)
    }

    /// The secrets that a server may echo.
    pub(crate) fn secrets(&self) -> Option<SecretString> {
        match &self.proof {
            Proof::Basic(secret) | Proof::Post(secret) => Some(secret.clone()),
            _ => None,
        }
    }
}

/// Both parts are form-encoded first (RFC 6749, section 2.3.1).
fn basic(id: &str, secret: &SecretString) -> Zeroizing<String> {
    let encode = |text: &str| -> Zeroizing<String> {
        Zeroizing::new(url::form_urlencoded::byte_serialize(text.as_bytes()).collect())
    };
    let pair = Zeroizing::new(format!(
        "{}:{}",
        *encode(id),
        *encode(secret.expose_secret())
    ));
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    Zeroizing::new(format!("Basic {}", *encoded))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("dynamic", &self.dynamic)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.fields.iter().map(|(name, _)| name).collect();
        f.debug_struct("Presented")
            .field("fields", &fields)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_of_basic_are_encoded_first() {
        let header = basic("my client", &"s:e/c+r%t".into());
        let pair = STANDARD
            .decode(header.strip_prefix("Basic ").unwrap())
            .unwrap();
        assert_eq!(pair, b"my+client:s%3Ae%2Fc%2Br%25t");
    }
}
