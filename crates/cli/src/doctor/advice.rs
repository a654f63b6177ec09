//! One line of advice for what a server behind a URL does wrong, and what was found out for it.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use mcp_auth::time::{Clock as _, SystemClock};
use mcp_core::{Error, ErrorKind, Failure, ProtocolVersion};
use mcp_http::{HttpClient, HttpRequest, HttpUrl};
use mcp_toolkit::config::{HttpConfig, HttpTransport, ServerConfig, ServerLoader};
use serde::Deserialize;
use tokio::time::timeout;

use super::diagnosis::{Diagnosis, begin};
use super::settings::Patient;
use super::watch::{Seen, Watch};
use crate::{connect, failure};

/// The longest metadata that is read, in bytes.
const MAX_METADATA: usize = 256 * 1024;

/// Knows what can be asked to find a cause.
#[derive(Debug)]
pub(crate) struct Advisor<'a> {
    pub(crate) config: &'a ServerConfig,
    pub(crate) http: &'a HttpConfig,
    pub(crate) client: &'a HttpClient,
    pub(crate) watch: &'a Watch,
    pub(crate) patience: Duration,
}

/// What the resource says of itself (RFC 9728), as far as it matters here.
#[derive(Debug, Deserialize)]
struct Resource {
    resource: String,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

fn not_spoken(version: ProtocolVersion) -> String {
    format!(
        "the server may not speak {}: leave `protocolVersion` out, and what both sides speak is found",
        version.as_str()
    )
}

impl Advisor<'_> {
    /// What to do about a first contact that failed.
    pub(crate) async fn advice(&self, error: &Error) -> String {
        let url = &self.http.url;
        if let Some(advice) = self.versions(error) {
            return advice;
        }
        match error.failure() {
            Failure::NeedsAuthorization(_) => self.log_in(),
            Failure::Unauthorized { .. } => self.unauthorized().await,
            Failure::Forbidden { detail } => format!(
                "the server knows who calls and says no{detail}: a permission or a header is missing"
            ),
            Failure::InsufficientScope { scopes, .. } => self.lacking(scopes),
            Failure::Credential(_) => self.no_credential(error),
            Failure::RedirectRefused { .. } => format!(
                "the server sends callers elsewhere, and credentials do not follow: write the URL it \
                 leads to ({})",
                failure::words(error)
            ),
            Failure::HttpStatus { status, .. } => self.status(*status).await,
            Failure::Timeout { .. } => format!(
                "{} takes connections and does not answer: is it an MCP server, and does it hang?",
                url.peer()
            ),
            Failure::AddressRefused { .. } => format!(
                "the server leads to where requests must not go: {}",
                failure::words(error)
            ),
            _ if !url.is_https() && self.speaks_tls().await => {
                format!("TLS is spoken at {}: write `https://`", url.peer())
            }
            _ => match error.kind() {
                ErrorKind::Connect => format!(
                    "{} takes connections and closes them: is it an HTTP server?",
                    url.peer()
                ),
                ErrorKind::LimitExceeded => "the server sends more than is taken".to_owned(),
                _ => "what answers there is no MCP server: is the URL whole?".to_owned(),
            },
        }
    }

    /// Where the two sides may not speak the same version of MCP.
    fn versions(&self, error: &Error) -> Option<String> {
        let words = failure::words(error);
        let refuses = words.contains("the server speaks ");
        match self.config.protocol {
            Some(version) if refuses || words.contains("the server answered with error") => {
                Some(not_spoken(version))
            }
            None if refuses => {
                let advice = "the server speaks no version of MCP that is known here: one of the two is \
                              too old";
                Some(advice.to_owned())
            }
            _ => None,
        }
    }

    fn log_in(&self) -> String {
        format!("log in: `mcpt login {}`", self.config.id)
    }

    async fn unauthorized(&self) -> String {
        let seen = self.watch.seen();
        if seen.sent.is_none() {
            let takes_logins =
                seen.resource_metadata().is_some() && connect::takes_logins(self.config);
            return if takes_logins {
                self.log_in()
            } else {
                "the server wants credentials and none are configured: add `auth` or a header"
                    .into()
            };
        }
        let now = SystemClock.wall();
        let claims = seen.claims.clone().unwrap_or_default();
        if let Some(end) = claims.end.filter(|end| *end <= now) {
            let end = humantime::format_rfc3339_seconds(end);
            return format!("the token expired at {end}: get a new one");
        }
        if seen.challenge_says("expired") {
            return "the server says that the token has expired: get a new one".into();
        }
        if claims.beginning.is_some_and(|beginning| beginning > now) {
            return "the token is not valid yet: is this machine's clock right?".into();
        }
        let resource = self.resource(&seen).await;
        let resource = resource.as_ref().map(|it| it.resource.as_str());
        if claims.is_for_others(&self.http.url, resource) || seen.challenge_says("audience") {
            let others = match claims.audiences.as_slice() {
                [] => String::new(),
                audiences => format!(" ({})", audiences.join(", ")),
            };
            let shown = self.http.url.to_string();
            return format!(
                "the token has a wrong audience{others}: ask its issuer for one for {}",
                resource.unwrap_or(&shown)
            );
        }
        if let Some(issuer) = claims.issuer {
            return format!(
                "the server does not take this token of {issuer}: is it for this server, and whole?"
            );
        }
        "the server does not know this token: is it the right one, whole, and not revoked?".into()
    }

    fn lacking(&self, scopes: &[String]) -> String {
        let seen = self.watch.seen();
        let has = seen.claims.and_then(|claims| claims.scopes);
        let has = has.unwrap_or_default();
        let lacking: Vec<_> = scopes.iter().filter(|it| !has.contains(it)).collect();
        let lacking: Vec<_> = lacking.into_iter().map(String::as_str).collect();
        let lacking = lacking.join(" ");
        if connect::takes_logins(self.config) {
            return format!(
                "the login lacks scopes ({lacking}): `mcpt login {}` asks for them",
                self.config.id
            );
        }
        format!("the token lacks scopes: get one with {lacking}")
    }

    fn no_credential(&self, error: &Error) -> String {
        let words = failure::words(error);
        match error.kind() {
            ErrorKind::Config => format!("correct the entry: {words}"),
            ErrorKind::AuthorizationDenied => {
                format!("access was denied; {}", self.log_in())
            }
            ErrorKind::Protocol => {
                format!("what leads to the authorization server cannot be trusted: {words}")
            }
            _ if words.contains("authorization server refuses") => {
                format!(
                    "the authorization server refuses the client: check its registration: {words}"
                )
            }
            _ if connect::takes_logins(self.config) => {
                format!("the authorization server cannot be reached: {words}")
            }
            _ => format!("the token's source failed: {words}"),
        }
    }

    async fn status(&self, status: u16) -> String {
        let url = &self.http.url;
        if !url.is_https() && status == 400 && self.speaks_tls().await {
            return format!("TLS is spoken at {}: write `https://`", url.peer());
        }
        if matches!(status, 400 | 404 | 405)
            && self.http.transport == HttpTransport::Http
            && self.speaks_sse().await
        {
            return "the server speaks only HTTP+SSE: write `\"type\": \"sse\"` (or leave `type` out)"
                .into();
        }
        if let (400, Some(version)) = (status, self.config.protocol) {
            return not_spoken(version);
        }
        match status {
            404 | 405 => {
                let path = url.path();
                format!("there is no MCP server at the path `{path}`: is the URL whole?")
            }
            429 => "the server asks to be left alone for a while".into(),
            500.. => "the server fails by itself: look at its logs".into(),
            _ => "the server refuses the request as such; what it said stands above".into(),
        }
    }

    /// Whether a TLS handshake comes to anything, believed or not.
    async fn speaks_tls(&self) -> bool {
        let text = self.http.url.as_str().replacen("http://", "https://", 1);
        let port = self.http.url.port();
        let Ok(mut url) = HttpUrl::parse(&text) else {
            return false;
        };
        if url.port() != port {
            // The default port of the other scheme.
            let host = self.http.url.host();
            match HttpUrl::parse(&format!("https://{host}:{port}/")) {
                Ok(other) => url = other,
                Err(_) => return false,
            }
        }
        match timeout(self.patience, self.client.handshake(&url)).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => failure::words(&error).contains("peer certificate"),
            Err(_) => false,
        }
    }

    /// Whether a GET without credentials opens an event stream, or would with credentials.
    async fn speaks_sse(&self) -> bool {
        let request = HttpRequest::get(&self.http.url)
            .header(ACCEPT, HeaderValue::from_static("text/event-stream"));
        match timeout(self.patience, self.client.send(request)).await {
            Ok(Ok(response)) => {
                response.is("text/event-stream") || response.status().as_u16() == 401
            }
            _ => false,
        }
    }

    /// What the resource says of itself, from where the challenge or the well-known place says.
    async fn resource(&self, seen: &Seen) -> Option<Resource> {
        let url = &self.http.url;
        let path = url.path().trim_end_matches('/');
        let well_known = "/.well-known/oauth-protected-resource";
        let mut places = vec![format!("{well_known}{path}"), well_known.to_owned()];
        if let Some(hint) = seen.resource_metadata() {
            places.insert(0, hint.to_owned());
        }
        for place in places {
            let place = url.join(&place).ok()?;
            let request = HttpRequest::get(&place)
                .header(ACCEPT, HeaderValue::from_static("application/json"))
                .supplied_by(url);
            let fetched = async {
                let response = self.client.fetch(request).await.ok()?;
                let is_there =
                    response.status().is_success() && response.headers().contains_key(CONTENT_TYPE);
                let body = response.bytes(MAX_METADATA).await.ok()?;
                is_there.then(|| serde_json::from_slice(&body).ok())?
            };
            if let Ok(Some(found)) = timeout(self.patience, fetched).await {
                return Some(found);
            }
        }
        None
    }

    /// The step `scopes`: what is granted against what the server lists.
    pub(crate) async fn scopes(
        &self,
        diagnosis: &mut Diagnosis,
        loader: &ServerLoader,
        patient: &Patient<'_>,
    ) {
        let begun = begin("scopes");
        let seen = self.watch.seen();
        let mut granted = seen
            .claims
            .as_ref()
            .and_then(|claims| claims.scopes.clone());
        if let Ok(Some(oauth)) = loader.oauth()
            && let Ok(Some(login)) = oauth.granted(patient.principal).await
        {
            granted = Some(login.scopes);
        }
        let Some(granted) = granted else {
            return diagnosis.skip("scopes", "what was sent names none");
        };
        let has = if granted.is_empty() {
            "granted none".to_owned()
        } else {
            format!("granted {}", granted.join(" "))
        };
        let listed = self.resource(&seen).await;
        let listed = listed.map(|it| it.scopes_supported).unwrap_or_default();
        let lacking: Vec<_> = listed.iter().filter(|it| !granted.contains(it)).collect();
        if lacking.is_empty() {
            return diagnosis.ok(&begun, has);
        }
        let lacking: Vec<_> = lacking.into_iter().map(String::as_str).collect();
        let lacking = lacking.join(" ");
        let advice = format!("some tools may want scopes that are not granted: {lacking}");
        diagnosis.warn(
            &begun,
            format!("{has}; the server knows {lacking} too"),
            &advice,
        );
    }
}
