//! Enterprise-managed authorization: the company's identity provider vouches for the user.

use std::sync::Arc;

use mcp_core::auth::{Principal, SecretRef};

use super::{AssertionSource, ID_JAG, SharedAssertion, TOKEN_EXCHANGE, push_scopes};
use crate::OAuthError;
use crate::client::{Client, ClientAuthMethod, ClientSettings};
use crate::discovery::{Discovered, identity_provider};
use crate::metadata::ServerMetadata;
use crate::token_endpoint::Fields;
use crate::wire::Wire;

/// The identity provider, and the user's sign-in there.
#[derive(Clone, Debug)]
pub struct Enterprise {
    pub(crate) provider: Provider,
    subject_token: SharedAssertion,
    subject_token_type: String,
    client: ClientSettings,
}

/// How the identity provider is found. Both are the user's word.
#[derive(Clone, Debug)]
pub(crate) enum Provider {
    TokenEndpoint(String),
    Issuer(String),
}

impl Provider {
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::TokenEndpoint(url) | Self::Issuer(url) => url,
        }
    }
}

impl Enterprise {
    /// Signs users in with the identity tokens that the provider gave this client, whose id there is
    /// `client_id`.
    pub fn new(
        token_endpoint: impl Into<String>,
        client_id: impl Into<String>,
        subject_token: impl AssertionSource + 'static,
    ) -> Self {
        let provider = Provider::TokenEndpoint(token_endpoint.into());
        Self::of(provider, client_id.into(), Arc::new(subject_token))
    }

    /// The same, where the provider's metadata says where its token endpoint is.
    pub fn at_issuer(
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        subject_token: impl AssertionSource + 'static,
    ) -> Self {
        let provider = Provider::Issuer(issuer.into());
        Self::of(provider, client_id.into(), Arc::new(subject_token))
    }

    fn of(provider: Provider, client_id: String, subject_token: SharedAssertion) -> Self {
        Self {
            provider,
            subject_token,
            subject_token_type: "urn:ietf:params:oauth:token-type:id_token".to_owned(),
            client: ClientSettings {
                id: Some(client_id),
                ..ClientSettings::default()
            },
        }
    }

    /// This program's secret at the identity provider.
    pub fn client_secret(mut self, secret: impl Into<SecretRef>) -> Self {
        self.client.secret = Some(secret.into());
        self
    }

    /// This program's private key there (PKCS#8 PEM), for `private_key_jwt`.
    pub fn private_key(mut self, pem: impl Into<SecretRef>) -> Self {
        self.client.key_settings().pem = pem.into();
        self
    }

    /// The `kid` that names the private key.
    pub fn key_id(mut self, id: impl Into<String>) -> Self {
        self.client.key_settings().id = Some(id.into());
        self
    }

    /// How this program proves itself there. By default the strongest that is offered.
    pub fn token_endpoint_auth_method(mut self, method: ClientAuthMethod) -> Self {
        self.client.method = Some(method);
        self
    }

    /// The type of the user's token. Default `urn:ietf:params:oauth:token-type:id_token`.
    pub fn subject_token_type(mut self, kind: impl Into<String>) -> Self {
        self.subject_token_type = kind.into();
        self
    }

    /// The provider's metadata, as far as it is needed, and this program's proof there.
    pub(crate) async fn provider(
        &self,
        wire: &Wire,
    ) -> Result<(ServerMetadata, Option<Client>), OAuthError> {
        let server = match &self.provider {
            Provider::Issuer(issuer) => identity_provider(wire, issuer).await?,
            Provider::TokenEndpoint(endpoint) => ServerMetadata {
                issuer: endpoint.clone(),
                token_endpoint: Some(endpoint.clone()),
                ..ServerMetadata::default()
            },
        };
        let client = self.client.configured(&server).await?;
        Ok((server, client))
    }

    /// The first step, at the identity provider: its token for a grant at the authorization server
    /// (draft-ietf-oauth-identity-assertion-authz-grant, section 4).
    pub(crate) async fn exchange_fields(
        &self,
        discovered: &Discovered,
        principal: &Principal,
        scopes: &[String],
    ) -> Result<Fields, OAuthError> {
        let subject = self.subject_token.assertion(principal).await?;
        let mut fields = vec![
            ("grant_type", TOKEN_EXCHANGE.into()),
            ("requested_token_type", ID_JAG.into()),
            ("subject_token", subject),
            (
                "subject_token_type",
                self.subject_token_type.as_str().into(),
            ),
            ("audience", discovered.issuer().into()),
            ("resource", discovered.resource.as_str().into()),
        ];
        push_scopes(&mut fields, scopes);
        Ok(fields)
    }
}
