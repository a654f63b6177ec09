//! Dynamic client registration (RFC 7591).

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use mcp_core::auth::{ExposeSecret as _, SecretString};
use mcp_http::HttpUrl;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Client, ClientAuthMethod, Proof};
use crate::OAuthError;
use crate::metadata::{ServerMetadata, contains};
use crate::wire::{self, Wire};

const WHAT: &str = "the registration of this client";
const DEFAULT_NAME: &str = "mcp-toolkit";

/// A registration as it is kept, per issuer.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Registration {
    pub(crate) client_id: String,
    #[serde(default)]
    client_secret: Option<String>,
    method: String,
    pub(crate) redirect_uri: Option<String>,
    /// When the secret ends, in seconds of calendar time; 0 is never.
    #[serde(default)]
    expires_at: u64,
}

#[derive(Deserialize)]
struct Registered {
    client_id: String,
    #[serde(default)]
    client_secret: Option<String>,
    #[serde(default)]
    client_secret_expires_at: Option<f64>,
    #[serde(default)]
    token_endpoint_auth_method: Option<String>,
}

impl Registration {
    pub(crate) fn client(&self) -> Client {
        let secret = self.client_secret.as_deref().map(SecretString::from);
        let method = ClientAuthMethod::from_name(&self.method);
        let proof = match (method, secret) {
            (Some(ClientAuthMethod::ClientSecretPost), Some(secret)) => Proof::Post(secret),
            (Some(ClientAuthMethod::None), _) | (_, None) => Proof::None,
            (_, Some(secret)) => Proof::Basic(secret),
        };
        Client {
            id: self.client_id.clone(),
            proof,
            dynamic: true,
        }
    }

    /// Whether it is still good for a flow that returns there, at a time in seconds.
    pub(crate) fn serves(&self, redirect_uri: Option<&str>, now: u64) -> bool {
        let fits = redirect_uri.is_none() || self.redirect_uri.as_deref() == redirect_uri;
        fits && (self.expires_at == 0 || now < self.expires_at)
    }

    pub(crate) fn to_text(&self) -> Result<SecretString, OAuthError> {
        let text = serde_json::to_string(self)
            .map_err(|_| OAuthError::config("the registration cannot be kept"))?;
        Ok(text.into())
    }

    pub(crate) fn from_text(text: &SecretString) -> Option<Self> {
        serde_json::from_str(text.expose_secret()).ok()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.client_secret.zeroize();
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration")
            .field("client_id", &self.client_id)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// Registers this side. `grants` are the grant types that it will use.
pub(crate) async fn register(
    wire: &Wire,
    server: &ServerMetadata,
    name: Option<&str>,
    redirect_uri: Option<&str>,
    grants: &[&str],
    wanted: Option<ClientAuthMethod>,
) -> Result<Registration, OAuthError> {
    let endpoint = server.registration_endpoint.as_deref().ok_or_else(|| {
        OAuthError::config(
            "the authorization server registers nobody by itself; configure a `client_id`",
        )
    })?;
    let endpoint = wire.endpoint(WHAT, endpoint)?;
    let method = wanted.map_or_else(|| method(server), ClientAuthMethod::as_str);
    let grants: Vec<_> = grants
        .iter()
        .filter(|grant| server.may_grant(grant))
        .collect();
    let mut body = json!({
        "client_name": name.unwrap_or(DEFAULT_NAME),
        "grant_types": grants,
        "token_endpoint_auth_method": method,
    });
    if let Some(uri) = redirect_uri {
        body["redirect_uris"] = json!([uri]);
        body["response_types"] = json!(["code"]);
        body["application_type"] = application_type(uri).into();
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = Zeroizing::new(body.to_string().into_bytes());
    let answer = wire.post(WHAT, &endpoint, headers, body).await?;
    if !answer.status.is_success() {
        return Err(wire::refusal(WHAT, &answer, []));
    }
    let registered: Registered = serde_json::from_slice(&answer.body)
        // The parser's error may quote the secret.
        .map_err(|_| OAuthError::protocol(format!("the answer to {WHAT} is malformed")))?;
    let given = registered.token_endpoint_auth_method.as_deref();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest point in time"
    )]
    let expires_at = registered
        .client_secret_expires_at
        .unwrap_or_default()
        .max(0.0) as u64;
    Ok(Registration {
        client_id: registered.client_id.clone(),
        method: given.unwrap_or(method).to_owned(),
        client_secret: registered.client_secret,
        redirect_uri: redirect_uri.map(str::to_owned),
        expires_at,
    })
}

/// The strongest method that a client without a key of its own can have.
fn method(server: &ServerMetadata) -> &'static str {
    let offered = server.token_endpoint_auth_methods_supported.as_ref();
    [
        ClientAuthMethod::ClientSecretBasic,
        ClientAuthMethod::ClientSecretPost,
        ClientAuthMethod::None,
    ]
    .into_iter()
    .find(|method| contains(offered, method.as_str()))
    // Nothing said means `client_secret_basic` (RFC 8414, section 2).
    .unwrap_or(ClientAuthMethod::ClientSecretBasic)
    .as_str()
}

/// `native` where the answer comes back to this machine, `web` where to a hosted page
/// (specification 2026-07-28, client registration).
fn application_type(redirect_uri: &str) -> &'static str {
    match HttpUrl::parse(redirect_uri) {
        Ok(url) if url.is_https() && !url.is_loopback() => "web",
        _ => "native",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_answer_returns_decides_the_application_type() {
        for (uri, kind) in [
            ("http://127.0.0.1:4000/callback", "native"),
            ("http://localhost/callback", "native"),
            ("https://app.test/callback", "web"),
            ("com.example.app:/callback", "native"),
        ] {
            assert_eq!(application_type(uri), kind, "{uri}");
        }
    }

    #[test]
    fn a_registration_serves_its_redirect_until_its_secret_ends() {
        let text = r#"{"client_id":"c","client_secret":"test-secret","method":"client_secret_post",
            "redirect_uri":"http://127.0.0.1:1/","expires_at":100}"#;
        let kept = Registration::from_text(&text.into()).unwrap();
        assert!(kept.serves(Some("http://127.0.0.1:1/"), 99));
        assert!(kept.serves(None, 99));
        assert!(!kept.serves(Some("http://127.0.0.1:2/"), 99));
        assert!(!kept.serves(None, 100));
        assert!(matches!(kept.client().proof, Proof::Post(_)));
        assert!(!format!("{kept:?} {:?}", kept.client()).contains("test-secret"));
    }
}
