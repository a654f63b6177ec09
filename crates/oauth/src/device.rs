//! Consent on another device (RFC 8628): a code to type, and asking until it was typed.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;
use mcp_core::auth::{AuthorizationRequired, ExposeSecret as _, SecretString, Token};
use mcp_http::HttpUrl;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use crate::client::Registration;
use crate::discovery::Discovered;
use crate::grant::DEVICE_CODE;
use crate::source::Source;
use crate::{OAuthError, jwt, wire};

const WHAT: &str = "the device authorization";
/// RFC 8628, section 3.2 and 3.5.
const INTERVAL: u64 = 5;
const SLOWER: u64 = 5;
/// However long or often a server says.
const MAX_LIFE: u64 = 1_800;
const MAX_INTERVAL: u64 = 60;

/// A device authorization under way, kept for whoever asks next.
#[derive(Deserialize, Serialize)]
struct Underway {
    device_code: String,
    user_code: String,
    verification_uri: String,
    interval: u64,
    /// In seconds of calendar time.
    next: u64,
    end: u64,
    scopes: Vec<String>,
    registration: Option<Registration>,
}

#[derive(Deserialize)]
struct Offered {
    device_code: String,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    #[serde(default)]
    expires_in: Option<f64>,
    #[serde(default)]
    interval: Option<f64>,
}

/// The token, if the user has typed the code; otherwise what to tell the user.
pub(crate) async fn fetch(
    source: &Source,
    discovered: &Discovered,
    wanted: Vec<String>,
) -> Result<Token, OAuthError> {
    let records = &source.core.records;
    let principal = &source.state.principal;
    let name = format!("device {}", source.issuer);
    let now = jwt::seconds(source.core.clock.wall());
    let kept = records.note(principal, &name).await?;
    let kept = kept.and_then(|kept| serde_json::from_str(kept.expose_secret()).ok());
    let kept: Option<Underway> = kept;
    let Some(mut underway) = kept else {
        return Err(begin(source, discovered, wanted, &name, now).await?);
    };
    let Underway { end, next, .. } = underway;
    if now >= end || underway.scopes != wanted {
        return Err(begin(source, discovered, wanted, &name, now).await?);
    }
    if now < next {
        return Err(underway.told());
    }
    let client = match &underway.registration {
        Some(registration) => Some(registration.client()),
        None => source.core.identify(discovered, None).await?.0,
    };
    let fields = vec![
        ("grant_type", DEVICE_CODE.into()),
        ("device_code", underway.device_code.as_str().into()),
        ("resource", discovered.resource.as_str().into()),
    ];
    let registration = underway.registration.as_ref();
    let issued = source.issue(discovered, client.as_ref(), registration, &fields, &wanted);
    let error = match issued.await {
        Ok(token) => {
            // The note has an end of its own; the token would be lost with an error.
            if let Err(error) = records.forget_note(principal, &name).await {
                tracing::debug!(server = %source.core.id, %error, "oauth_note_not_deleted");
            }
            return Ok(token);
        }
        Err(error) => error,
    };
    match error.code() {
        Some("authorization_pending") => {}
        Some("slow_down") => underway.interval = (underway.interval + SLOWER).min(MAX_INTERVAL),
        Some("access_denied") => {
            records.forget_note(principal, &name).await?;
            return Err(OAuthError::Denied {
                code: "access_denied".to_owned(),
                detail: String::new(),
            });
        }
        Some("expired_token" | "invalid_grant") => {
            return Err(begin(source, discovered, wanted, &name, now).await?);
        }
        _ => return Err(error),
    }
    underway.next = now + underway.interval;
    keep(source, &name, &underway).await?;
    Err(underway.told())
}

async fn begin(
    source: &Source,
    discovered: &Discovered,
    wanted: Vec<String>,
    name: &str,
    now: u64,
) -> Result<OAuthError, OAuthError> {
    let endpoint = discovered.server.device_authorization_endpoint.as_deref();
    let endpoint = endpoint.ok_or_else(|| {
        OAuthError::config("the authorization server does not offer the device code grant")
    })?;
    let endpoint = source.core.wire.endpoint(WHAT, endpoint)?;
    let (client, registration) = source.core.identify(discovered, None).await?;
    let client = client.ok_or_else(|| OAuthError::config("configure a `client_id`"))?;
    let mut presented = client.present(&discovered.server, source.core.clock.wall())?;
    let named = presented
        .fields
        .iter()
        .any(|(name, _)| *name == "client_id");
    if !named {
        presented
            .fields
            .push(("client_id", client.id.as_str().into()));
    }
    presented
        .fields
        .push(("resource", discovered.resource.as_str().into()));
    if !wanted.is_empty() {
        presented.fields.push(("scope", wanted.join(" ").into()));
    }
    let fields = presented.fields.iter();
    let body = wire::form(fields.map(|(name, value)| (*name, value.expose_secret())));
    let headers: HeaderMap = presented.headers;
    let answer = source
        .core
        .wire
        .post(WHAT, &endpoint, headers, body)
        .await?;
    if !answer.status.is_success() {
        return Err(wire::refusal(WHAT, &answer, client.secrets()));
    }
    let offered: Offered = serde_json::from_slice(&answer.body)
        .map_err(|_| OAuthError::protocol(format!("the answer to {WHAT} is malformed")))?;
    let uri = offered
        .verification_uri_complete
        .unwrap_or(offered.verification_uri);
    // The user will open it and type a code there: nothing but a web page (and no shell sees it), and
    // nobody on the way.
    if !HttpUrl::parse(&uri).is_ok_and(|uri| uri.is_https() || uri.is_loopback()) {
        return Err(OAuthError::protocol(
            "the verification URL is no web page that is reached by https",
        ));
    }
    let interval = whole(offered.interval, INTERVAL).min(MAX_INTERVAL);
    let underway = Underway {
        device_code: offered.device_code,
        user_code: offered.user_code,
        verification_uri: uri,
        interval,
        next: now + interval,
        end: now + whole(offered.expires_in, MAX_LIFE).min(MAX_LIFE),
        scopes: wanted,
        registration,
    };
    keep(source, name, &underway).await?;
    Ok(underway.told())
}

async fn keep(source: &Source, name: &str, underway: &Underway) -> Result<(), OAuthError> {
    let text = serde_json::to_string(underway)
        .map_err(|_| OAuthError::config("the device authorization cannot be kept"))?;
    let end = UNIX_EPOCH + Duration::from_secs(underway.end);
    let principal = &source.state.principal;
    let text = SecretString::from(text);
    source
        .core
        .records
        .keep_note(principal, name, text, end)
        .await
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest number of seconds"
)]
fn whole(seconds: Option<f64>, default: u64) -> u64 {
    seconds.map_or(default, |seconds| seconds.max(1.0) as u64)
}

impl Underway {
    fn told(&self) -> OAuthError {
        OAuthError::NeedsAuthorization(
            AuthorizationRequired::new()
                .with_authorize_url(&self.verification_uri)
                .with_user_code(&self.user_code)
                .with_scopes(self.scopes.iter().cloned()),
        )
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.device_code.zeroize();
    }
}
