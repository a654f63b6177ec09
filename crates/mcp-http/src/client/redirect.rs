//! Redirects, followed by hand.

use http::{HeaderMap, Method, StatusCode, header};
use mcp_core::{Error, Failure};

use super::url::HttpUrl;

/// Why a redirect is not followed.
#[derive(Debug)]
pub(crate) struct Refusal {
    reason: String,
    /// Where it leads, if whoever means it can configure that.
    to: Option<HttpUrl>,
}

impl Refusal {
    pub(crate) fn new(reason: &str, to: Option<HttpUrl>) -> Self {
        let reason = reason.to_owned();
        Self { reason, to }
    }

    /// The refusal as an error. The server chose the words of the URL, which may echo what it was
    /// sent: `shown` is what may be told of it.
    pub(crate) fn into_error(self, shown: impl FnOnce(&str) -> String) -> Error {
        let Self { mut reason, to } = self;
        if let Some(to) = to {
            let to = mcp_core::wire::clean(&shown(&to.to_string()), SHOWN);
            reason = format!("{reason}; configure {to} if it is meant");
        }
        Failure::RedirectRefused { reason }.into()
    }
}

/// How much is told of where a redirect leads, in bytes.
const SHOWN: usize = 256;

/// Where a response sends its request, if it does and the request may follow.
///
/// The same origin keeps method, body and credentials (307 and 308). Another origin is followed by
/// GET and HEAD only, without credentials. From `https` to `http` nothing follows, and 301 to 303
/// would turn a POST into a GET, which no MCP server can mean.
pub(crate) fn target(
    method: &Method,
    from: &HttpUrl,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<HttpUrl>, Refusal> {
    let refused = |reason| Refusal::new(reason, None);
    let keeps_method = match status.as_u16() {
        301..=303 => false,
        307 | 308 => true,
        _ => return Ok(None),
    };
    let location = headers
        .get(header::LOCATION)
        .and_then(|location| location.to_str().ok())
        .ok_or_else(|| refused("it does not say where to"))?;
    let to = from
        .join(location)
        .map_err(|_| refused("it leads to a URL that cannot be requested"))?;
    if from.is_https() && !to.is_https() {
        return Err(refused("it leads from https to http"));
    }
    let reads = *method == Method::GET || *method == Method::HEAD;
    if !reads && !from.same_origin(&to) {
        let reason = format!("a {method} does not follow to another origin");
        return Err(Refusal::new(&reason, Some(to)));
    }
    if !reads && !keeps_method {
        let reason = format!("a {method} does not become a GET ({status})");
        return Err(Refusal::new(&reason, Some(to)));
    }
    Ok(Some(to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_core::ErrorKind;

    fn follow(method: &Method, status: u16, location: &str) -> Result<Option<String>, ErrorKind> {
        let from = HttpUrl::parse("https://a.test/mcp/").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, location.parse().unwrap());
        target(
            method,
            &from,
            StatusCode::from_u16(status).unwrap(),
            &headers,
        )
        .map(|to| to.map(|to| to.as_str().to_owned()))
        .map_err(|refusal| refusal.into_error(str::to_owned).kind())
    }

    #[test]
    fn a_post_stays_a_post_at_its_origin() {
        let refused = Err(ErrorKind::RedirectRefused);
        let there = Ok(Some("https://a.test/mcp".to_owned()));
        assert_eq!(follow(&Method::POST, 307, "/mcp"), there);
        assert_eq!(follow(&Method::POST, 308, "https://a.test/mcp"), there);
        assert_eq!(follow(&Method::POST, 302, "/mcp"), refused);
        assert_eq!(follow(&Method::POST, 307, "https://b.test/mcp"), refused);
        assert_eq!(
            follow(&Method::POST, 307, "https://a.test:444/mcp"),
            refused
        );
        assert_eq!(follow(&Method::POST, 307, "http://a.test/mcp"), refused);
        assert_eq!(follow(&Method::POST, 307, "https://x@a.test/mcp"), refused);
        assert_eq!(follow(&Method::POST, 307, "file:///etc/passwd"), refused);
        assert_eq!(follow(&Method::POST, 200, "/mcp"), Ok(None));
    }

    #[test]
    fn a_get_may_leave() {
        let there = Ok(Some("https://b.test/x".to_owned()));
        assert_eq!(follow(&Method::GET, 302, "https://b.test/x"), there);
        assert_eq!(
            follow(&Method::GET, 302, "http://a.test/mcp"),
            Err(ErrorKind::RedirectRefused)
        );
    }
}
