//! A URL that requests go to, and what of it may be shown.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Uri};
use mcp_core::{Error, Failure};
use url::{Host, Url};

/// An `http` or `https` URL without userinfo. Cloning copies a pointer; printing leaves the query
/// out, because queries hold keys.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct HttpUrl(Arc<Parts>);

#[derive(Eq, Hash, PartialEq)]
struct Parts {
    url: Url,
    uri: Uri,
    target: Uri,
    authority: HeaderValue,
    origin: Box<str>,
    peer: Box<str>,
    shown: Box<str>,
}

impl HttpUrl {
    /// Reads a URL. A fragment is dropped: it is never sent.
    ///
    /// # Errors
    /// [`Failure::Config`] when it is malformed, has another scheme, no host, or a user name or
    /// password. The text is not repeated in the error.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let url = Url::parse(text.trim())
            .map_err(|error| Error::config_because("the URL is malformed", error))?;
        Self::from_url(url)
    }

    /// Reads a reference relative to this URL (RFC 3986, section 5).
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn join(&self, reference: &str) -> Result<Self, Error> {
        let url = self
            .0
            .url
            .join(reference.trim())
            .map_err(|error| Error::config_because("the URL is malformed", error))?;
        Self::from_url(url)
    }

    fn from_url(mut url: Url) -> Result<Self, Error> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::config("the URL is neither `http` nor `https`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::config(
                "the URL holds a user name or password; give it as a credential instead",
            ));
        }
        url.set_fragment(None);
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(Error::config("the URL has no host"));
        };
        let peer = format!("{host}:{port}").into();
        let mut shown = format!("{}://{host}", url.scheme());
        if let Some(port) = url.port() {
            let _ = write!(shown, ":{port}");
        }
        shown.push_str(url.path());
        let unsendable =
            |error: http::Error| Error::config_because("the URL cannot be sent", error);
        let uri = Uri::try_from(url.as_str()).map_err(|error| unsendable(error.into()))?;
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let target = Uri::try_from(path).map_err(|error| unsendable(error.into()))?;
        let authority = uri.authority().map_or(host, Authority::as_str);
        let authority =
            HeaderValue::from_str(authority).map_err(|error| unsendable(error.into()))?;
        Ok(Self(Arc::new(Parts {
            origin: url.origin().ascii_serialization().into(),
            target,
            authority,
            peer,
            shown: shown.into(),
            uri,
            url,
        })))
    }

    /// The whole of it, query included. Not for people.
    pub fn as_str(&self) -> &str {
        self.0.url.as_str()
    }

    /// As requests carry it.
    pub fn uri(&self) -> &Uri {
        &self.0.uri
    }

    /// As a request of HTTP/1.1 names it to its server: path and query (RFC 9112, section 3.2.1).
    pub(crate) fn target(&self) -> &Uri {
        &self.0.target
    }

    /// Whom a request is for: the value of `Host` (RFC 9110, section 7.2).
    pub(crate) fn authority(&self) -> &HeaderValue {
        &self.0.authority
    }

    /// Scheme, host and port, whatever they are for people.
    pub(crate) fn origin(&self) -> &str {
        &self.0.origin
    }

    /// Its path.
    pub fn path(&self) -> &str {
        self.0.url.path()
    }

    /// Host and port, for people.
    pub fn peer(&self) -> &str {
        &self.0.peer
    }

    /// Its host.
    pub fn host(&self) -> &str {
        self.0.url.host_str().unwrap_or_default()
    }

    /// Its port, or that of its scheme.
    pub fn port(&self) -> u16 {
        self.0.url.port_or_known_default().unwrap_or_default()
    }

    /// Whether it is `https`.
    pub fn is_https(&self) -> bool {
        self.0.url.scheme() == "https"
    }

    /// Whether scheme, host and port are the same (RFC 6454).
    pub fn same_origin(&self, other: &Self) -> bool {
        self.0.url.origin() == other.0.url.origin()
    }

    /// Whether its host is loopback by its name: `localhost`, a name under it, or a loopback
    /// address.
    pub fn is_loopback(&self) -> bool {
        match self.0.url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                name == "localhost" || name.ends_with(".localhost")
            }
            None => false,
        }
    }

    /// The address policy's refusal of this URL.
    pub(crate) fn refused(&self, reason: &'static str) -> Error {
        let peer = self.peer().to_owned();
        Failure::AddressRefused { peer, reason }.into()
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.shown)
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_core::ErrorKind;

    #[test]
    fn the_query_is_sent_and_not_shown() {
        let url = HttpUrl::parse("https://Example.com:443/mcp?key=canary#part").unwrap();
        assert_eq!(url.as_str(), "https://example.com/mcp?key=canary");
        assert_eq!(url.uri().to_string(), url.as_str());
        assert_eq!(
            format!("{url} {url:?}"),
            "https://example.com/mcp HttpUrl(https://example.com/mcp)"
        );
        assert_eq!(url.peer(), "example.com:443");
    }

    #[test]
    fn what_cannot_be_requested_is_refused_without_being_repeated() {
        for text in [
            "",
            "example.com/mcp?key=canary",
            "ftp://example.com/canary",
            "http://canary:x@example.com/",
            "http://canary@example.com/",
            "http://",
            "http://exa mple/?canary",
            "http://[::1/?canary",
            "http://example.com:99999/?canary",
        ] {
            let error = HttpUrl::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }

    #[test]
    fn odd_spellings_of_loopback_are_seen_through() {
        for text in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://LOCALHOST/",
            "http://a.localhost./",
        ] {
            assert!(HttpUrl::parse(text).unwrap().is_loopback(), "{text}");
        }
        for text in ["http://localhost.example.com/", "http://10.0.0.1/"] {
            assert!(!HttpUrl::parse(text).unwrap().is_loopback(), "{text}");
        }
    }

    #[test]
    fn references_are_resolved() {
        let url = HttpUrl::parse("http://localhost:9/sse?x=1").unwrap();
        let endpoint = url.join("/message?sessionId=7").unwrap();
        assert_eq!(endpoint.as_str(), "http://localhost:9/message?sessionId=7");
        assert!(url.same_origin(&endpoint));
        assert!(!url.same_origin(&url.join("http://localhost:8/sse").unwrap()));
        assert!(!url.same_origin(&url.join("https://localhost:9/sse").unwrap()));
    }
}
