//! A request, and who chose where it goes.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mcp_core::auth::Credentials;

use super::url::HttpUrl;

/// One request of the guarded client.
#[derive(Debug)]
#[non_exhaustive]
pub struct HttpRequest<'a> {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: &'a HttpUrl,
    /// The headers. `Host`, `Content-Length`, `Accept-Encoding` and `User-Agent` are added.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Who chose the URL.
    pub source: UrlSource<'a>,
}

/// Who chose a URL: that decides which addresses it may lead to.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum UrlSource<'a> {
    /// Whoever configured this process.
    #[default]
    Configured,
    /// A server: in metadata, a redirect, an event. Public addresses or the origin of `by`, unless
    /// the client is told otherwise; loopback too where `by` itself is loopback.
    Supplied {
        /// The configured URL of that server.
        by: &'a HttpUrl,
    },
}

impl<'a> HttpRequest<'a> {
    /// A GET.
    pub fn get(url: &'a HttpUrl) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST.
    pub fn post(url: &'a HttpUrl, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..Self::new(Method::POST, url)
        }
    }

    /// A request without headers or body to a URL that the user configured.
    pub fn new(method: Method, url: &'a HttpUrl) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            source: UrlSource::Configured,
        }
    }

    /// Sets a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds the headers of credentials.
    pub fn credentials(mut self, credentials: &Credentials) -> Self {
        credentials.apply(&mut self.headers);
        self
    }

    /// Says that a server chose the URL.
    pub fn supplied_by(mut self, by: &'a HttpUrl) -> Self {
        self.source = UrlSource::Supplied { by };
        self
    }
}
