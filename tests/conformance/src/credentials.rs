//! The credentials that the suite gives, and the grant that each is for.

use anyhow::Result;
use mcp_core::ServerId;
use mcp_core::auth::SecretRef;
use mcp_http::{HttpClient, HttpUrl};
use mcp_oauth::{Dpop, Enterprise, Grant, OAuth};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::browser::Browser;

/// Hosted by nobody; the suite's authorization servers know it.
const CLIENT_METADATA: &str = "https://conformance-test.local/client-metadata.json";
/// Nobody listens there: the browser reads the redirect and does not follow it.
const REDIRECT: &str = "http://localhost:3000/callback";

/// What the suite hands over; any of it may be missing.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Context {
    client_id: Option<String>,
    client_secret: Option<String>,
    issuer: Option<String>,
    private_key_pem: Option<String>,
    signing_algorithm: Option<String>,
    idp_client_id: Option<String>,
    idp_id_token: Option<String>,
    idp_token_endpoint: Option<String>,
    valid_jwt: Option<String>,
    #[serde(rename = "toolCalls")]
    pub(crate) tool_calls: Vec<Call>,
}

#[derive(Deserialize)]
pub(crate) struct Call {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) arguments: Map<String, Value>,
}

impl Context {
    pub(crate) fn from_environment() -> Result<Self> {
        Ok(match std::env::var("MCP_CONFORMANCE_CONTEXT") {
            Ok(text) => serde_json::from_str(&text)?,
            Err(_) => Self::default(),
        })
    }

    pub(crate) fn provider(&self, id: ServerId, url: HttpUrl, client: HttpClient) -> OAuth {
        let secret = |text: &Option<String>| text.clone().map(SecretRef::literal);
        let mut builder = OAuth::builder(id, url)
            .http_client(client.clone())
            .client_name("mcp-toolkit conformance client")
            .client_metadata_url(CLIENT_METADATA)
            .redirect_uri(REDIRECT)
            .dpop(Dpop::Prefer)
            .handler(Browser(client))
            .grant(self.grant());
        if let Some(id) = &self.client_id
            && self.valid_jwt.is_none()
        {
            builder = builder.client_id(id);
        }
        if let Some(secret) = secret(&self.client_secret) {
            builder = builder.client_secret(secret);
        }
        if let Some(issuer) = &self.issuer {
            builder = builder.issuer(issuer);
        }
        if let Some(key) = secret(&self.private_key_pem) {
            builder = builder.private_key(key);
        }
        if let Some(algorithm) = &self.signing_algorithm {
            builder = builder.algorithm(algorithm);
        }
        builder.build()
    }

    /// A token that vouches for somebody is for exchanging; a client with credentials but no
    /// particular authorization server acts for itself; everything else needs the user.
    fn grant(&self) -> Grant {
        if let (Some(endpoint), Some(client), Some(token)) = (
            &self.idp_token_endpoint,
            &self.idp_client_id,
            &self.idp_id_token,
        ) {
            let token = SecretRef::literal(token.clone());
            return Grant::Enterprise(Enterprise::new(endpoint, client, token));
        }
        if let Some(jwt) = &self.valid_jwt {
            return Grant::JwtBearer(std::sync::Arc::new(SecretRef::literal(jwt.clone())));
        }
        let has_credentials = self.private_key_pem.is_some() || self.client_secret.is_some();
        if has_credentials && self.issuer.is_none() {
            return Grant::ClientCredentials;
        }
        Grant::AuthorizationCode
    }
}
