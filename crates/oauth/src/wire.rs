//! Requests of the authorization dance: small, bounded, through the guarded client.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use mcp_core::auth::{Redactor, SecretString};
use mcp_core::wire::clean;
use mcp_http::{HttpClient, HttpRequest, HttpUrl, UrlSource};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::OAuthError;

/// The longest document or answer; real ones have a few KiB.
const MAX_BYTES: usize = 256 * 1024;
/// One request with its answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// How much of what a server says is shown, in bytes.
const SHOWN_BYTES: usize = 200;
/// The longest pause that a server can ask for.
const MAX_RETRY_AFTER: u64 = 300;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// The guarded client on behalf of one configured server.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) client: HttpClient,
    /// The MCP server, whose word leads to all other URLs.
    pub(crate) server: HttpUrl,
    /// Other URLs that the user configured: an issuer, an identity provider.
    pub(crate) trusted: Vec<HttpUrl>,
}

/// A document, or the fact that there is none.
#[derive(Debug)]
pub(crate) enum Document<T> {
    Found(T),
    /// A status that says so, or something that is no such JSON.
    Absent,
}

/// An answer to a POST.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// What time it is there.
    pub(crate) date: Option<SystemTime>,
    pub(crate) body: Bytes,
}

impl Wire {
    /// A URL that a server named, checked for what it is used for: `https`, or `http` on loopback.
    pub(crate) fn endpoint(&self, what: &'static str, text: &str) -> Result<HttpUrl, OAuthError> {
        let url = HttpUrl::parse(text).map_err(|_| {
            OAuthError::protocol(format!("{what} is not a URL that can be requested"))
        })?;
        self.client
            .check(&url)
            .map_err(|error| OAuthError::from_http(what, error))?;
        Ok(url)
    }

    /// Reads a JSON document. Nothing goes with the request that identifies anybody.
    pub(crate) async fn document<T: DeserializeOwned>(
        &self,
        what: &'static str,
        url: &HttpUrl,
        version: Option<HeaderValue>,
    ) -> Result<Document<T>, OAuthError> {
        let mut request = HttpRequest::get(url).header(ACCEPT, JSON);
        if let Some(version) = version {
            let name = http::HeaderName::from_static("mcp-protocol-version");
            request = request.header(name, version);
        }
        request.source = self.source(url);
        let fetched = async {
            let response = self.client.fetch(request).await?;
            let status = response.status();
            let body = if status.is_success() {
                response.bytes(MAX_BYTES).await?
            } else {
                Bytes::new()
            };
            Ok::<_, mcp_core::Error>((status, body))
        };
        let (status, body) = within(what, fetched).await?;
        tracing::debug!(%url, status = status.as_u16(), "oauth_document");
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(OAuthError::unavailable(format!("{what} ({status})")));
        }
        Ok(match serde_json::from_slice(&body) {
            Ok(document) if status.is_success() => Document::Found(document),
            _ => Document::Absent,
        })
    }

    /// Posts a form or a JSON body. Redirects are not followed: a secret goes where it was meant to.
    pub(crate) async fn post(
        &self,
        what: &'static str,
        url: &HttpUrl,
        headers: HeaderMap,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Answer, OAuthError> {
        let mut request = HttpRequest::post(url, Bytes::from_owner(body));
        request.headers = headers;
        request.headers.insert(ACCEPT, JSON);
        request.headers.entry(CONTENT_TYPE).or_insert(FORM);
        request.source = self.source(url);
        let answered = async {
            let response = self.client.send(request).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let date = response.date();
            let body = response.bytes(MAX_BYTES).await?;
            Ok(Answer {
                status,
                headers,
                date,
                body,
            })
        };
        let answer = within(what, answered).await?;
        tracing::debug!(%url, status = answer.status.as_u16(), "oauth_request");
        if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS {
            return Err(OAuthError::Unavailable {
                what: format!("{what} ({})", answer.status).into(),
                retry_after: retry_after(&answer.headers),
                source: None,
            });
        }
        if answer.status.is_redirection() {
            return Err(OAuthError::protocol(format!("{what} redirects")));
        }
        Ok(answer)
    }

    fn source<'a>(&'a self, url: &HttpUrl) -> UrlSource<'a> {
        if self.trusted.iter().any(|trusted| trusted.same_origin(url)) {
            return UrlSource::Configured;
        }
        UrlSource::Supplied { by: &self.server }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A form in a buffer that is wiped.
pub(crate) fn form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Zeroizing<Vec<u8>> {
    let fields: Vec<_> = fields.into_iter().collect();
    // Room for everything escaped, so that no half-filled buffer is left behind by growing.
    let room = fields
        .iter()
        .map(|(name, value)| 3 * (name.len() + value.len()) + 2)
        .sum();
    let text = String::with_capacity(room);
    let mut form = url::form_urlencoded::Serializer::new(text);
    form.extend_pairs(fields);
    Zeroizing::new(form.finish().into_bytes())
}

/// What a server says, as it may be shown: without secrets, on one line, short, with a leading
/// separator; empty if it says nothing.
pub(crate) fn shown(text: Option<&str>, secrets: impl IntoIterator<Item = SecretString>) -> String {
    let Some(text) = text else {
        return String::new();
    };
    let redactor = Redactor::new(secrets).suspicious();
    // A bound before the work; the cut that counts comes after, so that it halves no secret.
    let text = text.get(..4 * SHOWN_BYTES).unwrap_or(text);
    match clean(&redactor.redact(text), SHOWN_BYTES) {
        empty if empty.is_empty() => empty,
        said => format!(" ({said})"),
    }
}

/// An error code as it may be shown: a word of the RFC's alphabet (RFC 6749, section 5.2).
pub(crate) fn code(text: &str) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if text.is_empty() || text.len() > 64 || !text.chars().all(fine) {
        return "an error without a code".to_owned();
    }
    text.to_owned()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

async fn within<T>(
    what: &'static str,
    work: impl Future<Output = Result<T, mcp_core::Error>>,
) -> Result<T, OAuthError> {
    match timeout(DEADLINE, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(OAuthError::from_http(what, error)),
        Err(_) => Err(OAuthError::Unavailable {
            what: what.into(),
            retry_after: None,
            source: Some(std::sync::Arc::new(mcp_core::Error::timeout(
                DEADLINE,
                "waiting for an authorization server",
            ))),
        }),
    }
}

/// The error of an answer that is one (RFC 6749, section 5.2; RFC 7591, section 3.2.2).
pub(crate) fn refusal(
    what: &'static str,
    answer: &Answer,
    secrets: impl IntoIterator<Item = SecretString>,
) -> OAuthError {
    #[derive(serde::Deserialize)]
    struct Said {
        error: String,
        #[serde(default)]
        error_description: Option<String>,
    }
    let Ok(said) = serde_json::from_slice::<Said>(&answer.body) else {
        return OAuthError::Refused {
            what,
            code: format!("status {}", answer.status.as_u16()),
            detail: String::new(),
        };
    };
    OAuthError::Refused {
        what,
        code: code(&said.error),
        detail: shown(said.error_description.as_deref(), secrets),
    }
}
