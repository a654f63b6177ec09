//! Who this side is to an authorization server, and how it proves it.

mod assertion;
mod registration;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderMap};
use mcp_core::auth::{ExposeSecret as _, SecretRef, SecretString};
use mcp_http::HttpUrl;
use zeroize::Zeroizing;

pub(crate) use registration::{Registration, register};

use crate::metadata::{ServerMetadata, contains};
use crate::{OAuthError, SigningKey};

/// How a client proves itself at the token endpoint (OpenID Connect Core, section 9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientAuthMethod {
    /// A public client: the id alone.
    None,
    /// The secret in the `Authorization` header.
    ClientSecretBasic,
    /// The secret in the body.
    ClientSecretPost,
    /// A JWT signed with the client's key.
    PrivateKeyJwt,
}

impl ClientAuthMethod {
    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// By its registered name.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::None,
            Self::ClientSecretBasic,
            Self::ClientSecretPost,
            Self::PrivateKeyJwt,
        ]
        .into_iter()
        .find(|method| method.as_str() == name)
    }
}

/// The audience of the client's own assertions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum AssertionAudience {
    /// The authorization server's issuer identifier.
    #[default]
    Issuer,
    /// The URL of its token endpoint.
    TokenEndpoint,
}

/// What is configured about this side.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientSettings {
    pub(crate) id: Option<String>,
    pub(crate) secret: Option<SecretRef>,
    pub(crate) key: Option<KeySettings>,
    pub(crate) method: Option<ClientAuthMethod>,
    pub(crate) metadata_url: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) audience: AssertionAudience,
}

#[derive(Clone, Debug)]
pub(crate) struct KeySettings {
    pub(crate) pem: SecretRef,
    pub(crate) id: Option<String>,
    pub(crate) algorithm: Option<String>,
}

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

impl ClientSettings {
    pub(crate) fn key_settings(&mut self) -> &mut KeySettings {
        self.key.get_or_insert_with(|| KeySettings {
            pem: SecretRef::literal(""),
            id: None,
            algorithm: None,
        })
    }

    /// What this program is configured to appear as, before any server has been asked.
    pub(crate) fn identity(&self) -> Option<&str> {
        self.id.as_deref().or(self.metadata_url.as_deref())
    }

    /// The pre-registered client, if there is one.
    pub(crate) async fn configured(
        &self,
        server: &ServerMetadata,
    ) -> Result<Option<Client>, OAuthError> {
        let Some(id) = &self.id else {
            return Ok(None);
        };
        let proof = self.proof(server).await?;
        Ok(Some(Client {
            id: id.clone(),
            proof,
            dynamic: false,
        }))
    }

    /// A client metadata document is this side's identity at every server that reads them.
    pub(crate) async fn documented(
        &self,
        server: &ServerMetadata,
    ) -> Result<Option<Client>, OAuthError> {
        let Some(url) = &self.metadata_url else {
            return Ok(None);
        };
        if server.client_id_metadata_document_supported != Some(true) {
            return Ok(None);
        }
        // Section 3 there: `https`, with a path, so that it is somebody's document.
        let fits = HttpUrl::parse(url).is_ok_and(|it| it.is_https() && it.path() != "/");
        if !fits {
            return Err(OAuthError::config(
                "the URL of a client metadata document is `https` and has a path",
            ));
        }
        // No shared secrets there (draft-ietf-oauth-client-id-metadata-document, section 4.1).
        let proof = match &self.key {
            Some(key) => self.key_proof(key, server).await?,
            None => Proof::None,
        };
        Ok(Some(Client {
            id: url.clone(),
            proof,
            dynamic: false,
        }))
    }

    async fn proof(&self, server: &ServerMetadata) -> Result<Proof, OAuthError> {
        let missing = |what| {
            OAuthError::config(format!(
                "the client authenticates with {what}, and none is configured"
            ))
        };
        let method = self.method.unwrap_or_else(|| self.strongest(server));
        let secret = async || match &self.secret {
            Some(secret) => Ok(secret.resolve().await?),
            None => Err(missing("a secret")),
        };
        Ok(match method {
            ClientAuthMethod::None => Proof::None,
            ClientAuthMethod::ClientSecretBasic => Proof::Basic(secret().await?),
            ClientAuthMethod::ClientSecretPost => Proof::Post(secret().await?),
            ClientAuthMethod::PrivateKeyJwt => {
                let key = self.key.as_ref().ok_or_else(|| missing("a private key"))?;
                self.key_proof(key, server).await?
            }
        })
    }

    /// The strongest method that the server offers and that there is something for. A server that
    /// says nothing means `client_secret_basic` (RFC 8414, section 2).
    fn strongest(&self, server: &ServerMetadata) -> ClientAuthMethod {
        if self.key.is_some() {
            return ClientAuthMethod::PrivateKeyJwt;
        }
        if self.secret.is_none() {
            return ClientAuthMethod::None;
        }
        let offered = server.token_endpoint_auth_methods_supported.as_ref();
        let offers = |method: ClientAuthMethod| contains(offered, method.as_str());
        if offered.is_none() || offers(ClientAuthMethod::ClientSecretBasic) {
            ClientAuthMethod::ClientSecretBasic
        } else if offers(ClientAuthMethod::ClientSecretPost) {
            ClientAuthMethod::ClientSecretPost
        } else if offers(ClientAuthMethod::None) {
            ClientAuthMethod::None
        } else {
            ClientAuthMethod::ClientSecretBasic
        }
    }

    async fn key_proof(
        &self,
        settings: &KeySettings,
        server: &ServerMetadata,
    ) -> Result<Proof, OAuthError> {
        let key = SigningKey::from_pem(&settings.pem.resolve().await?)?;
        let own = key.algorithm();
        let wanted = settings.algorithm.as_deref();
        let key = match wanted {
            Some(wanted) => key.signing_with(wanted).ok_or_else(|| {
                OAuthError::config(format!(
                    "the private key signs with {own}, not with the configured algorithm"
                ))
            })?,
            None => key,
        };
        let accepted = server
            .token_endpoint_auth_signing_alg_values_supported
            .as_ref();
        let is_accepted = |algorithm: &str| {
            let is_wanted = wanted.is_none_or(|wanted| wanted == algorithm);
            is_wanted && (accepted.is_none() || contains(accepted, algorithm))
        };
        let own = key.algorithm();
        let key = key.accepted_by(is_accepted).ok_or_else(|| {
            OAuthError::config(format!(
                "the authorization server takes no assertions signed with {own}"
            ))
        })?;
        Ok(Proof::Key {
            key,
            id: settings.id.clone(),
            audience: self.audience,
        })
    }
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

    #[test]
    fn the_strongest_offered_method_is_taken() {
        let settings = ClientSettings {
            id: Some("client".to_owned()),
            secret: Some(SecretRef::literal("test-secret")),
            ..ClientSettings::default()
        };
        let offering = |methods: Option<&[&str]>| ServerMetadata {
            token_endpoint_auth_methods_supported: methods
                .map(|methods| methods.iter().map(|&method| method.to_owned()).collect()),
            ..ServerMetadata::default()
        };
        for (methods, taken) in [
            (None, ClientAuthMethod::ClientSecretBasic),
            (
                Some(&["none", "client_secret_post"][..]),
                ClientAuthMethod::ClientSecretPost,
            ),
            (
                Some(&["client_secret_post", "client_secret_basic"]),
                ClientAuthMethod::ClientSecretBasic,
            ),
            (Some(&["none"]), ClientAuthMethod::None),
        ] {
            assert_eq!(settings.strongest(&offering(methods)), taken, "{methods:?}");
        }
    }

    #[tokio::test]
    async fn a_key_signs_as_the_server_takes_it() {
        let pem = crate::key::new_rsa_pem();
        let signs = async |algorithm: Option<&str>, accepted: Option<&[&str]>| {
            let mut settings = ClientSettings::default();
            settings.key_settings().pem = SecretRef::literal(pem.as_str());
            settings.key_settings().algorithm = algorithm.map(str::to_owned);
            let server = ServerMetadata {
                token_endpoint_auth_signing_alg_values_supported: accepted
                    .map(|known| known.iter().map(|&known| known.to_owned()).collect()),
                ..ServerMetadata::default()
            };
            let key = settings.key.as_ref().unwrap();
            match settings.key_proof(key, &server).await {
                Ok(Proof::Key { key, .. }) => Some(key.algorithm()),
                _ => None,
            }
        };
        assert_eq!(signs(None, None).await, Some("RS256"));
        assert_eq!(signs(None, Some(&["PS256", "ES256"])).await, Some("PS256"));
        assert_eq!(signs(Some("PS256"), None).await, Some("PS256"));
        assert_eq!(signs(Some("PS256"), Some(&["RS256"])).await, None);
        assert_eq!(signs(Some("ES256"), None).await, None);
        assert_eq!(signs(None, Some(&["EdDSA"])).await, None);
    }
}
