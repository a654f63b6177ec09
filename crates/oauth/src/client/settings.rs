//! What is configured about this side, and the client that comes of it at a server.

use mcp_core::auth::SecretRef;
use mcp_http::HttpUrl;

use super::{AssertionAudience, Client, ClientAuthMethod, Proof};
use crate::metadata::{ServerMetadata, contains};
use crate::{OAuthError, SigningKey};

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

#[cfg(test)]
mod tests {
    use super::*;

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
