//! The authorization code flow: a URL out, a callback in (OAuth 2.1, section 4.1).

mod callback;

use std::fmt;

use mcp_core::auth::{Principal, SecretString};
use mcp_http::HttpUrl;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroize as _;

pub(crate) use callback::read;

use crate::OAuthError;
use crate::client::{Client, Registration};
use crate::discovery::Discovered;
use crate::metadata::contains;
use crate::random::{sha256, token};
use crate::token_endpoint::Fields;

/// An authorization that was begun. Holds the verifier: it never leaves the store and this process.
#[derive(Deserialize, Serialize)]
pub(crate) struct Pending {
    pub(crate) state: String,
    pub(crate) verifier: String,
    /// The verified issuer, recorded before the user left.
    pub(crate) issuer: String,
    /// Whether its callbacks name it.
    pub(crate) names_issuer: bool,
    pub(crate) redirect_uri: String,
    pub(crate) resource: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) client_id: String,
    /// A registration of this side's making, as it was then.
    pub(crate) registration: Option<Registration>,
    pub(crate) tenant: Option<String>,
    pub(crate) user: String,
}

/// What a flow is begun with.
#[derive(Debug)]
pub(crate) struct Beginning<'a> {
    pub(crate) discovered: &'a Discovered,
    pub(crate) client: &'a Client,
    pub(crate) registration: Option<Registration>,
    pub(crate) principal: &'a Principal,
    pub(crate) redirect_uri: &'a str,
    pub(crate) scopes: Vec<String>,
    /// The thumbprint of the key that the token will be bound to.
    pub(crate) key: Option<String>,
}

/// Makes the URL that the user is sent to, and what has to be remembered until the callback.
pub(crate) fn begin(
    wire: &crate::wire::Wire,
    beginning: Beginning<'_>,
) -> Result<(Pending, String), OAuthError> {
    let server = &beginning.discovered.server;
    let announced = server.code_challenge_methods_supported.as_ref();
    if beginning.discovered.published && !contains(announced, "S256") {
        return Err(OAuthError::protocol(
            "the authorization server does not announce PKCE with S256",
        ));
    }
    // Specification 2026-07-28, authorization, security: anything else could be anybody's.
    let returns = HttpUrl::parse(beginning.redirect_uri);
    if !returns.is_ok_and(|url| url.is_https() || url.is_loopback()) {
        return Err(OAuthError::config(
            "a redirect URL is `https`, or `http` on loopback",
        ));
    }
    let endpoint = server.authorization_endpoint.as_deref().ok_or_else(|| {
        OAuthError::protocol("the authorization server's metadata names no authorization endpoint")
    })?;
    // `https`, or `http` on loopback; nothing that a browser would run instead of open.
    let endpoint = wire.endpoint("the authorization endpoint", endpoint)?;
    let mut url = Url::parse(endpoint.as_str())
        .map_err(|_| OAuthError::protocol("the authorization endpoint is malformed"))?;
    let pending = Pending {
        state: token()?,
        verifier: token()?,
        issuer: server.issuer.clone(),
        names_issuer: server.authorization_response_iss_parameter_supported == Some(true),
        redirect_uri: beginning.redirect_uri.to_owned(),
        resource: beginning.discovered.resource.clone(),
        scopes: beginning.scopes,
        client_id: beginning.client.id.clone(),
        registration: beginning.registration,
        tenant: beginning.principal.tenant().map(str::to_owned),
        user: beginning.principal.user().to_owned(),
    };
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &pending.client_id)
            .append_pair("redirect_uri", &pending.redirect_uri)
            .append_pair("code_challenge", &sha256(&pending.verifier))
            .append_pair("code_challenge_method", "S256")
            .append_pair("state", &pending.state)
            .append_pair("resource", &pending.resource);
        if !pending.scopes.is_empty() {
            query.append_pair("scope", &pending.scopes.join(" "));
        }
        if pending.scopes.iter().any(|scope| scope == "offline_access") {
            // OpenID Connect Core, section 11: without it the scope is ignored.
            query.append_pair("prompt", "consent");
        }
        if let Some(key) = &beginning.key {
            query.append_pair("dpop_jkt", key);
        }
    }
    Ok((pending, url.into()))
}

impl Pending {
    /// The name it is stored under: tells nothing of the state.
    pub(crate) fn handle(state: &str) -> String {
        sha256(state)
    }

    /// The token request's fields for a code.
    pub(crate) fn fields(&self, code: SecretString) -> Fields {
        vec![
            ("grant_type", "authorization_code".into()),
            ("code", code),
            ("code_verifier", self.verifier.as_str().into()),
            ("redirect_uri", self.redirect_uri.as_str().into()),
            ("resource", self.resource.as_str().into()),
        ]
    }

    pub(crate) fn principal(&self) -> Result<Principal, OAuthError> {
        let principal = match &self.tenant {
            Some(tenant) => Principal::in_tenant(tenant, &self.user),
            None => Principal::new(&self.user),
        };
        principal.map_err(|_| OAuthError::config("the stored authorization is of nobody"))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.verifier.zeroize();
        self.state.zeroize();
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("issuer", &self.issuer)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
