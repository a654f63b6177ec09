//! The hosts that requests may go to, by name.

use std::fmt;
use std::sync::Arc;

use mcp_core::Error;
use url::Host;

use super::url::HttpUrl;

/// A list of hosts, outside of which an [`HttpClient`](super::HttpClient) sends nothing: no call, no
/// redirect, no request to an authorization server.
///
/// `api.example.com` is that host at any port, `api.example.com:8443` at this one,
/// `*.example.com` every host below `example.com` and not `example.com` itself. Addresses stand as
/// URLs write them: `127.0.0.1`, `[::1]`.
///
/// ```
/// use mcp_http::{AllowedHosts, HttpClient, HttpUrl};
///
/// let hosts = AllowedHosts::new(["*.example.com", "localhost:8080"])?;
/// let client = HttpClient::new().limited_to(&hosts);
/// assert!(client.check(&HttpUrl::parse("https://mcp.example.com/mcp")?).is_ok());
/// assert!(client.check(&HttpUrl::parse("https://example.org/mcp")?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AllowedHosts(Arc<[Vec<Pattern>]>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Pattern {
    /// As URLs have it: in lower case, ASCII, without a dot at its end.
    name: String,
    below: bool,
    port: Option<u16>,
}

impl AllowedHosts {
    /// Reads patterns. An empty list allows nothing.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure) for what is no host, such as a URL.
    pub fn new<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        let read = |pattern: T| Pattern::parse(pattern.as_ref());
        let list = patterns.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new([list])))
    }

    /// Allows what both allow.
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(&*other.0).cloned().collect())
    }

    /// Whether requests may go to this URL's host and port.
    pub fn allow(&self, url: &HttpUrl) -> bool {
        let host = bare(url.host());
        let mut lists = self.0.iter();
        lists.all(|list| list.iter().any(|known| known.matches(host, url.port())))
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::config(
                "an allowed host is a name such as `api.example.com`, `*.example.com` or \
                 `localhost:8080`, without scheme and path",
            )
        };
        let text = text.trim();
        let (below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if rest.contains('*') {
            return Err(wrong());
        }
        let behind_address = rest.rfind(']').map_or(0, |at| at + 1);
        let colon = rest.get(behind_address..).and_then(|it| it.find(':'));
        let (host, port) = match colon.map(|colon| rest.split_at(behind_address + colon)) {
            Some((host, port)) => {
                let port = port.trim_start_matches(':').parse();
                (host, Some(port.map_err(|_| wrong())?))
            }
            None => (rest, None),
        };
        let host = Host::parse(bare(host)).map_err(|_| wrong())?;
        if below && !matches!(host, Host::Domain(_)) {
            return Err(wrong());
        }
        Ok(Self {
            name: host.to_string(),
            below,
            port,
        })
    }

    fn matches(&self, host: &str, port: u16) -> bool {
        let named = if self.below {
            let above = host.strip_suffix(self.name.as_str());
            above.is_some_and(|above| above.len() > 1 && above.ends_with('.'))
        } else {
            host == self.name
        };
        named && self.port.is_none_or(|own| own == port)
    }
}

/// A name with a dot at its end is the same name.
fn bare(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// As they were written, more or less.
impl fmt::Display for AllowedHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for Pattern { name, below, port } in self.0.iter().flatten() {
            let separator = if std::mem::take(&mut first) { "" } else { ", " };
            let star = if *below { "*." } else { "" };
            write!(f, "{separator}{star}{name}")?;
            if let Some(port) = port {
                write!(f, ":{port}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(patterns: &[&str], url: &str) -> bool {
        let hosts = AllowedHosts::new(patterns).unwrap();
        hosts.allow(&HttpUrl::parse(url).unwrap())
    }

    #[test]
    fn hosts_are_compared_as_urls_have_them() {
        for (pattern, url) in [
            ("example.com", "https://example.com/mcp"),
            ("Example.COM.", "https://example.com:8443/"),
            ("example.com", "https://EXAMPLE.com./"),
            ("example.com:443", "https://example.com/"),
            ("*.example.com", "https://a.b.example.com/"),
            ("*.example.com:80", "http://a.example.com/"),
            ("127.0.0.1", "http://0x7f.1:9/"),
            ("[::1]", "http://[0:0::1]:9/"),
            ("[::1]:9", "http://[::1]:9/"),
            ("bücher.example", "https://xn--bcher-kva.example/"),
        ] {
            assert!(allowed(&[pattern], url), "{pattern} {url}");
        }
        for (pattern, url) in [
            ("example.com", "https://example.com.evil.test/"),
            ("example.com", "https://evilexample.com/"),
            ("example.com", "https://a.example.com/"),
            ("example.com:443", "https://example.com:444/"),
            ("*.example.com", "https://example.com/"),
            ("*.example.com", "https://evilexample.com/"),
            ("*.example.com", "https://.example.com/"),
            ("[::1]:9", "http://[::1]:8/"),
        ] {
            assert!(!allowed(&[pattern], url), "{pattern} {url}");
        }
        assert!(!allowed(&[], "https://example.com/"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "https://example.com",
            "example.com/mcp",
            "a b",
            "user@example.com",
            "example.com:port",
            "example.com:99999",
            "*.127.0.0.1",
            "a.*.com",
            "*.*.com",
        ] {
            assert!(AllowedHosts::new([text]).is_err(), "{text}");
        }
    }

    #[test]
    fn two_lists_have_to_agree() {
        let one = AllowedHosts::new(["a.test", "b.test"]).unwrap();
        let both = one.and(&AllowedHosts::new(["b.test:9", "c.test"]).unwrap());
        let url = |text: &str| HttpUrl::parse(text).unwrap();
        assert!(both.allow(&url("http://b.test:9/")));
        for other in ["http://a.test/", "http://b.test/", "http://c.test/"] {
            assert!(!both.allow(&url(other)), "{other}");
        }
        assert_eq!(both.to_string(), "a.test, b.test, b.test:9, c.test");
    }
}
