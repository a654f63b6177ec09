//! The `auth` field: how a token is had.

mod fields;
mod read;

#[cfg(any(test, feature = "schema"))]
pub(super) use self::fields::{BEARER_FIELDS, COMMAND_FIELDS, IDP_FIELDS, OAUTH_FIELDS};
use super::secret::ConfiguredSecret;

/// How a token is had.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AuthConfig {
    /// The token itself, by reference.
    Bearer(ConfiguredSecret),
    /// A program and its arguments that prints a token.
    Command(Vec<String>),
    /// An authorization server.
    OAuth(Box<OAuthConfig>),
}

/// What the file says about an authorization server. Everything is optional.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OAuthConfig {
    /// How tokens are asked for.
    pub grant: OAuthGrant,
    /// The client's identifier, where it is registered already.
    pub client_id: Option<String>,
    /// The client's secret.
    pub client_secret: Option<ConfiguredSecret>,
    /// How the client proves who it is; `None` takes the strongest that is offered.
    pub client_auth: Option<ClientAuthMethod>,
    /// A PKCS#8 PEM key for `private_key_jwt`.
    pub private_key: Option<ConfiguredSecret>,
    /// The key's identifier.
    pub key_id: Option<String>,
    /// The key's algorithm.
    pub algorithm: Option<String>,
    /// Whom assertions are addressed to.
    pub assertion_audience: AssertionAudience,
    /// The URL of a client ID metadata document.
    pub client_metadata_url: Option<String>,
    /// Scopes to ask for at least.
    pub scopes: Vec<String>,
    /// The issuer, pinned.
    pub issuer: Option<String>,
    /// The resource, overridden.
    pub resource: Option<String>,
    /// Where the user is sent back to.
    pub redirect_uri: Option<String>,
    /// An assertion, read anew at each use.
    pub assertion: Option<ConfiguredSecret>,
    /// A subject token, read anew at each use.
    pub subject_token: Option<ConfiguredSecret>,
    /// Whether tokens are bound to a key.
    pub dpop: Dpop,
    /// The identity provider of the grant `enterprise`.
    pub idp: Option<Box<OAuthConfig>>,
    /// The token endpoint, of an identity provider that publishes no metadata.
    pub token_endpoint: Option<String>,
}

/// How tokens are asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum OAuthGrant {
    /// The user consents in a browser.
    #[default]
    AuthorizationCode,
    /// The client acts for itself.
    ClientCredentials,
    /// A signed assertion (RFC 7523).
    JwtBearer,
    /// Another token (RFC 8693).
    TokenExchange,
    /// The company's identity provider vouches.
    Enterprise,
    /// The user consents on another device (RFC 8628).
    DeviceCode,
}

impl OAuthGrant {
    /// The extension of MCP that the grant belongs to; a client declares it to the server.
    pub fn extension(self) -> Option<&'static str> {
        match self {
            Self::ClientCredentials => Some("io.modelcontextprotocol/oauth-client-credentials"),
            Self::Enterprise => Some("io.modelcontextprotocol/enterprise-managed-authorization"),
            _ => None,
        }
    }
}

/// How a client proves who it is at the token endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientAuthMethod {
    /// `client_secret_basic`
    SecretBasic,
    /// `client_secret_post`
    SecretPost,
    /// `private_key_jwt`
    PrivateKeyJwt,
    /// `none`
    None,
}

/// Whom a client's assertions are addressed to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum AssertionAudience {
    /// The issuer.
    #[default]
    Issuer,
    /// The token endpoint.
    TokenEndpoint,
}

/// Whether tokens are bound to a key (RFC 9449).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Dpop {
    /// No.
    #[default]
    Off,
    /// Yes, and a token of type `Bearer` is accepted.
    Prefer,
    /// Yes, and a token of type `Bearer` is an error.
    Require,
}

impl OAuthConfig {
    /// Every secret that it refers to.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &ConfiguredSecret> {
        let all = [Some(self), self.idp.as_deref()];
        all.into_iter().flatten().flat_map(|config| {
            let secrets = [
                &config.client_secret,
                &config.private_key,
                &config.assertion,
                &config.subject_token,
            ];
            secrets.into_iter().flatten()
        })
    }
}
