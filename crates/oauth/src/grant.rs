//! How a token is had: one variant per grant.

mod assertion;
mod enterprise;

use mcp_core::auth::{ExposeSecret as _, Principal, SecretString};

pub use assertion::{AssertionSource, SharedAssertion};
pub use enterprise::Enterprise;

use crate::OAuthError;
use crate::discovery::Discovered;
use crate::token_endpoint::Fields;

pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(crate) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(crate) const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// How a token is had.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Grant {
    /// The user consents in a browser (OAuth 2.1, section 4.1).
    #[default]
    AuthorizationCode,
    /// The user consents in a browser on another device (RFC 8628).
    DeviceCode,
    /// This program acts for itself (OAuth 2.1, section 4.2).
    ClientCredentials,
    /// Somebody trusted vouches for the workload or user with a JWT (RFC 7523, section 2.1), such
    /// as a projected service account token.
    JwtBearer(SharedAssertion),
    /// A token of another kind is exchanged at the server's authorization server (RFC 8693).
    TokenExchange(TokenExchange),
    /// The company's identity provider vouches for the user (extension
    /// `io.modelcontextprotocol/enterprise-managed-authorization`).
    Enterprise(Enterprise),
}

/// What is exchanged (RFC 8693, section 2.1).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenExchange {
    /// The token that is given.
    pub subject_token: SharedAssertion,
    /// Its type. Default `urn:ietf:params:oauth:token-type:access_token`.
    pub subject_token_type: String,
    /// Whom the new token is for, where the server wants a name instead of the resource.
    pub audience: Option<String>,
}

impl TokenExchange {
    /// Exchanges an access token.
    pub fn new(subject_token: impl AssertionSource + 'static) -> Self {
        Self {
            subject_token: std::sync::Arc::new(subject_token),
            subject_token_type: "urn:ietf:params:oauth:token-type:access_token".to_owned(),
            audience: None,
        }
    }

    /// Sets the type of the token that is given.
    pub fn subject_token_type(mut self, kind: impl Into<String>) -> Self {
        self.subject_token_type = kind.into();
        self
    }

    /// Sets whom the new token is for.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }
}

impl Grant {
    /// The grant types that a client registers for.
    pub(crate) fn types(&self) -> &'static [&'static str] {
        match self {
            Self::AuthorizationCode => &["authorization_code", "refresh_token"],
            Self::DeviceCode => &[DEVICE_CODE, "refresh_token"],
            Self::ClientCredentials => &["client_credentials"],
            Self::JwtBearer(_) | Self::Enterprise(_) => &[JWT_BEARER],
            Self::TokenExchange(_) => &[TOKEN_EXCHANGE],
        }
    }

    /// The extension of MCP that the grant belongs to; a client declares it in its capabilities.
    pub fn extension(&self) -> Option<&'static str> {
        match self {
            Self::ClientCredentials => Some("io.modelcontextprotocol/oauth-client-credentials"),
            Self::Enterprise(_) => Some("io.modelcontextprotocol/enterprise-managed-authorization"),
            _ => None,
        }
    }

    /// Whether a person has to say yes.
    pub(crate) fn is_interactive(&self) -> bool {
        matches!(self, Self::AuthorizationCode | Self::DeviceCode)
    }

    /// Whether all principals have the same token: it names the program, not the user.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::ClientCredentials => true,
            Self::JwtBearer(assertion) => assertion.is_shared(),
            _ => false,
        }
    }
}

/// `client_credentials` (OAuth 2.1, section 4.2.1).
pub(crate) fn client_credentials(discovered: &Discovered, scopes: &[String]) -> Fields {
    with_resource("client_credentials", discovered, scopes)
}

/// `jwt-bearer` (RFC 7523, section 2.1).
pub(crate) fn jwt_bearer(
    assertion: SecretString,
    discovered: &Discovered,
    scopes: &[String],
) -> Fields {
    let mut fields = with_resource(JWT_BEARER, discovered, scopes);
    fields.push(("assertion", assertion));
    fields
}

pub(crate) async fn token_exchange(
    exchange: &TokenExchange,
    discovered: &Discovered,
    principal: &Principal,
    scopes: &[String],
) -> Result<Fields, OAuthError> {
    let subject = exchange.subject_token.assertion(principal).await?;
    let mut fields = with_resource(TOKEN_EXCHANGE, discovered, scopes);
    fields.push(("subject_token", subject));
    fields.push((
        "subject_token_type",
        exchange.subject_token_type.as_str().into(),
    ));
    if let Some(audience) = &exchange.audience {
        fields.push(("audience", audience.as_str().into()));
    }
    Ok(fields)
}

/// `refresh_token` (RFC 6749, section 6). The scopes stay what they are.
pub(crate) fn refresh(refresh: &SecretString, resource: &str) -> Fields {
    vec![
        ("grant_type", "refresh_token".into()),
        ("refresh_token", refresh.expose_secret().into()),
        ("resource", resource.into()),
    ]
}

fn with_resource(grant: &str, discovered: &Discovered, scopes: &[String]) -> Fields {
    let mut fields = vec![
        ("grant_type", grant.into()),
        ("resource", discovered.resource.as_str().into()),
    ];
    push_scopes(&mut fields, scopes);
    fields
}

fn push_scopes(fields: &mut Fields, scopes: &[String]) {
    if !scopes.is_empty() {
        fields.push(("scope", scopes.join(" ").into()));
    }
}
