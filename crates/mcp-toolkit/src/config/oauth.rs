//! From the `auth` field of type `oauth` to a provider.

use std::sync::{Arc, LazyLock};

use mcp_auth::{
    CredentialError, MaybeReady, MemoryStore, Principal, SecretKind, SecretRef, SecretScope,
    SecretString, SharedStore,
};
use mcp_core::{Error, ServerId};
use mcp_http::{HttpClient, HttpUrl};
use mcp_oauth::{AssertionSource, Enterprise, Grant, OAuth, OAuthBuilder, TokenExchange};

use super::auth::{AssertionAudience, AuthConfig, ClientAuthMethod, Dpop, OAuthConfig, OAuthGrant};
use super::error::{ConfigError, Place};
use super::load::with_principal;
use super::secret::ConfiguredSecret;
use super::server::{Endpoint, ServerConfig};

/// Where tokens are kept when nobody says where: in this process, for all who load.
static MEMORY: LazyLock<SharedStore> = LazyLock::new(|| Arc::new(MemoryStore::new()));

/// What a provider is built with, besides the entry.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OAuthSurroundings {
    /// Where tokens, registrations and keys are kept. Default: the memory of this process.
    pub store: Option<SharedStore>,
    /// The client that all requests go through. Default: one of its own.
    pub client: Option<HttpClient>,
    /// Where assertions find the variables and files that they refer to. Default: the process's
    /// surroundings.
    pub scope: SecretScope,
}

impl ServerConfig {
    /// The provider of an entry whose `auth` is of type `oauth`; `None` for every other entry. One
    /// value serves all principals, and with the same store all of them share what it keeps.
    ///
    /// What is kept belongs to the entry's name and URL together: an entry of the same name in
    /// another file, which leads elsewhere, finds nothing.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure) when a field is missing that the grant needs.
    pub fn oauth(&self, surroundings: &OAuthSurroundings) -> Result<Option<OAuth>, Error> {
        self.oauth_for(surroundings, None)
    }

    /// [`oauth`](Self::oauth), with so many principals in memory.
    pub(super) fn oauth_for(
        &self,
        surroundings: &OAuthSurroundings,
        principals: Option<usize>,
    ) -> Result<Option<OAuth>, Error> {
        match &self.endpoint {
            Endpoint::Http(http) => match &http.auth {
                Some(AuthConfig::OAuth(oauth)) => {
                    let mut surroundings = surroundings.clone();
                    if let Some(hosts) = &http.allowed_hosts {
                        let client = surroundings.client.unwrap_or_default();
                        surroundings.client = Some(client.limited_to(hosts));
                    }
                    let mut builder = builder(oauth, &self.id, &http.url, &surroundings)?;
                    if let Some(principals) = principals {
                        builder = builder.max_principals(principals.try_into().unwrap_or(u64::MAX));
                    }
                    Ok(Some(builder.build()))
                }
                _ => Ok(None),
            },
            Endpoint::Stdio(_) => Ok(None),
        }
    }
}

fn builder(
    config: &OAuthConfig,
    id: &ServerId,
    url: &HttpUrl,
    surroundings: &OAuthSurroundings,
) -> Result<OAuthBuilder, Error> {
    let wrong = |field: &str, problem: &str| {
        let place = Place {
            server: Some(id.as_str().into()),
            field: Some(format!("auth.{field}").into()),
            ..Place::default()
        };
        Error::from(ConfigError::new(place, problem.to_owned()))
    };
    let missing = |field: &str| wrong(field, "is missing, and the grant needs it");
    let assertion = |secret: &ConfiguredSecret| Assertion {
        reference: secret.reference().clone(),
        scope: surroundings.scope.clone(),
        server: id.clone(),
    };
    let grant = match config.grant {
        OAuthGrant::AuthorizationCode => Grant::AuthorizationCode,
        OAuthGrant::DeviceCode => Grant::DeviceCode,
        OAuthGrant::ClientCredentials => Grant::ClientCredentials,
        OAuthGrant::JwtBearer => {
            let secret = config.assertion.as_ref();
            let secret = secret.ok_or_else(|| missing("assertion"))?;
            Grant::JwtBearer(Arc::new(assertion(secret)))
        }
        OAuthGrant::TokenExchange => {
            let secret = config.subject_token.as_ref();
            let secret = secret.ok_or_else(|| missing("subject_token"))?;
            Grant::TokenExchange(TokenExchange::new(assertion(secret)))
        }
        OAuthGrant::Enterprise => {
            let idp = config.idp.as_deref().ok_or_else(|| missing("idp"))?;
            let secret = config.subject_token.as_ref().or(idp.subject_token.as_ref());
            let secret = secret
                .or(config.assertion.as_ref())
                .ok_or_else(|| missing("subject_token"))?;
            let client = idp.client_id.as_ref();
            let client = client.ok_or_else(|| missing("idp.client_id"))?;
            let enterprise = match (&idp.token_endpoint, &idp.issuer) {
                (Some(endpoint), _) => Enterprise::new(endpoint, client, assertion(secret)),
                (None, Some(issuer)) => Enterprise::at_issuer(issuer, client, assertion(secret)),
                (None, None) => return Err(missing("idp.issuer")),
            };
            Grant::Enterprise(at_provider(enterprise, idp))
        }
    };
    // The address is part of the name that things are kept under, without what may be secret in it.
    let kept = format!("{id} {url}");
    let kept = ServerId::new(kept).map_err(|error| wrong("type", &error.to_string()))?;
    let mut builder = OAuth::builder(kept, url.clone())
        .grant(grant)
        .scopes(&config.scopes)
        .store(
            surroundings
                .store
                .clone()
                .unwrap_or_else(|| Arc::clone(&MEMORY)),
        )
        .dpop(match config.dpop {
            Dpop::Off => mcp_oauth::Dpop::Off,
            Dpop::Prefer => mcp_oauth::Dpop::Prefer,
            Dpop::Require => mcp_oauth::Dpop::Require,
        })
        .assertion_audience(match config.assertion_audience {
            AssertionAudience::Issuer => mcp_oauth::AssertionAudience::Issuer,
            AssertionAudience::TokenEndpoint => mcp_oauth::AssertionAudience::TokenEndpoint,
        });
    builder = identity(builder, config);
    if let Some(issuer) = &config.issuer {
        builder = builder.issuer(issuer);
    }
    if let Some(resource) = &config.resource {
        builder = builder.resource(resource);
    }
    if let Some(uri) = &config.redirect_uri {
        builder = builder.redirect_uri(uri);
    }
    if let Some(client) = &surroundings.client {
        builder = builder.http_client(client.clone());
    }
    Ok(builder)
}

/// Who this side is to the authorization server.
fn identity(mut builder: OAuthBuilder, config: &OAuthConfig) -> OAuthBuilder {
    if let Some(client) = &config.client_id {
        builder = builder.client_id(client);
    }
    if let Some(secret) = &config.client_secret {
        builder = builder.client_secret(secret.reference().clone());
    }
    if let Some(key) = &config.private_key {
        builder = builder.private_key(key.reference().clone());
        if let Some(id) = &config.key_id {
            builder = builder.key_id(id);
        }
        if let Some(algorithm) = &config.algorithm {
            builder = builder.algorithm(algorithm);
        }
    }
    if let Some(method) = config.client_auth {
        builder = builder.token_endpoint_auth_method(method.into());
    }
    if let Some(url) = &config.client_metadata_url {
        builder = builder.client_metadata_url(url);
    }
    builder
}

/// Who this side is to the identity provider.
fn at_provider(mut enterprise: Enterprise, idp: &OAuthConfig) -> Enterprise {
    if let Some(secret) = &idp.client_secret {
        enterprise = enterprise.client_secret(secret.reference().clone());
    }
    if let Some(key) = &idp.private_key {
        enterprise = enterprise.private_key(key.reference().clone());
        if let Some(id) = &idp.key_id {
            enterprise = enterprise.key_id(id);
        }
    }
    if let Some(method) = idp.client_auth {
        enterprise = enterprise.token_endpoint_auth_method(method.into());
    }
    enterprise
}

impl From<ClientAuthMethod> for mcp_oauth::ClientAuthMethod {
    fn from(method: ClientAuthMethod) -> Self {
        match method {
            ClientAuthMethod::SecretBasic => Self::ClientSecretBasic,
            ClientAuthMethod::SecretPost => Self::ClientSecretPost,
            ClientAuthMethod::PrivateKeyJwt => Self::PrivateKeyJwt,
            ClientAuthMethod::None => Self::None,
        }
    }
}

/// What vouches for a principal, read anew at each use.
#[derive(Debug)]
struct Assertion {
    reference: SecretRef,
    scope: SecretScope,
    server: ServerId,
}

impl AssertionSource for Assertion {
    fn assertion<'a>(
        &'a self,
        principal: &'a Principal,
    ) -> MaybeReady<'a, Result<SecretString, CredentialError>> {
        MaybeReady::new(async move {
            let scope = with_principal(&self.scope, &self.server, principal);
            Ok(self.reference.resolve_in(&scope).await?)
        })
    }

    /// A command is told for whom; everything else is the same for everybody.
    fn is_shared(&self) -> bool {
        self.reference.kind() != SecretKind::Command
    }
}
