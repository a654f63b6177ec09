//! What servers publish of themselves: protected resources and authorization servers.

use serde::Deserialize;

/// Protected resource metadata (RFC 9728, section 2).
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ResourceMetadata {
    /// The resource's identifier.
    pub(crate) resource: String,
    /// Who issues tokens for it.
    #[serde(default)]
    pub(crate) authorization_servers: Vec<String>,
    /// The scopes that a client without better knowledge asks for.
    #[serde(default)]
    pub(crate) scopes_supported: Option<Vec<String>>,
    /// Whether tokens have to be bound to a key (RFC 9449).
    #[serde(default)]
    pub(crate) dpop_bound_access_tokens_required: Option<bool>,
}

/// Authorization server metadata (RFC 8414, section 2, and OpenID Connect Discovery).
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct ServerMetadata {
    pub(crate) issuer: String,
    #[serde(default)]
    pub(crate) authorization_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) token_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) registration_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) revocation_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) device_authorization_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) scopes_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) grant_types_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) client_id_metadata_document_supported: Option<bool>,
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: Option<bool>,
    #[serde(default)]
    pub(crate) dpop_signing_alg_values_supported: Option<Vec<String>>,
}

impl ServerMetadata {
    /// Whether a grant type may be used: listed, or nothing is listed at all.
    pub(crate) fn may_grant(&self, grant: &str) -> bool {
        self.grant_types_supported
            .as_ref()
            .is_none_or(|known| known.iter().any(|known| known == grant))
    }

    /// Whether proofs with ES256 are understood (RFC 9449, section 5.1).
    pub(crate) fn speaks_dpop(&self) -> bool {
        contains(self.dpop_signing_alg_values_supported.as_ref(), "ES256")
    }

    /// Whether `offline_access` may be asked for.
    pub(crate) fn offers_offline_access(&self) -> bool {
        contains(self.scopes_supported.as_ref(), "offline_access")
    }
}

pub(crate) fn contains(list: Option<&Vec<String>>, wanted: &str) -> bool {
    list.is_some_and(|list| list.iter().any(|known| known == wanted))
}
