//! A request, and who chose where it goes.

use std::fmt;
use std::mem::take;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use mcp_core::auth::Credentials;

use super::body::{Departure, RequestBody};
use super::url::HttpUrl;

/// One request of the guarded client. Printing shows where it goes and the names of its headers:
/// values, queries and bodies hold tokens.
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
    /// Told when the body leaves.
    pub(crate) departure: Option<Departure>,
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
            departure: None,
        }
    }

    /// What goes out, to a target on whatever connection. What is left here is empty.
    pub(super) fn take_out(&mut self, target: Uri) -> Request<RequestBody> {
        let body = RequestBody::new(take(&mut self.body), self.departure.take());
        let mut request = Request::new(body);
        *request.method_mut() = take(&mut self.method);
        *request.uri_mut() = target;
        *request.headers_mut() = take(&mut self.headers);
        request
    }

    /// Tells whether the body has left, where there is one.
    pub(super) fn watch(&mut self) -> Option<Departure> {
        let has_body = !self.body.is_empty();
        has_body.then(|| self.departure.get_or_insert_default().clone())
    }

    /// Takes back what did not go out.
    pub(super) fn put_back(&mut self, unsent: Request<RequestBody>) {
        let (head, body) = unsent.into_parts();
        (self.method, self.headers) = (head.method, head.headers);
        (self.body, self.departure) = body.into_parts();
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

impl fmt::Debug for HttpRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &headers)
            .field("body_bytes", &self.body.len())
            .field("source", &self.source)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_sent_is_printed() {
        let url = HttpUrl::parse("https://as.test/token?key=canary").unwrap();
        let name = HeaderName::from_static("x-api-key");
        let request = HttpRequest::post(&url, "refresh_token=canary")
            .header(name, HeaderValue::from_static("canary"));
        let shown = format!("{request:?} {request:#?}");
        assert!(
            shown.contains("x-api-key") && !shown.contains("canary"),
            "{shown}"
        );
    }
}
