//! Authorization server metadata (RFC 8414 and OpenID Connect Discovery), for one issuer only.

use mcp_http::HttpUrl;

use super::{join, shown};
use crate::OAuthError;
use crate::metadata::ServerMetadata;
use crate::wire::{Document, Wire};

const WHAT: &str = "the authorization server's metadata";

/// The metadata of an issuer, from the first place that has it; `None` where none has.
pub(crate) async fn find(wire: &Wire, issuer: &str) -> Result<Option<ServerMetadata>, OAuthError> {
    let base = wire.endpoint("the authorization server's identifier", issuer)?;
    for path in paths(&base) {
        let url = join(&base, &path)?;
        if let Document::Found(found) = wire.document(WHAT, &url, None).await? {
            check(&found, issuer, &url)?;
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The document must be of the very issuer that it was looked up for: character by character, since
/// that is how `iss` is compared later.
pub(crate) fn check(found: &ServerMetadata, issuer: &str, url: &HttpUrl) -> Result<(), OAuthError> {
    if found.issuer == issuer {
        return Ok(());
    }
    Err(OAuthError::protocol(format!(
        "the metadata at {url} is of the issuer {}, not of {}; if that is the right one, configure it as `issuer`",
        shown(&found.issuer),
        shown(issuer)
    )))
}

/// The places in the order of the specification (2026-07-28, authorization server discovery).
fn paths(issuer: &HttpUrl) -> Vec<String> {
    let path = issuer.path().trim_end_matches('/');
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        paths.push(format!("{path}/.well-known/openid-configuration"));
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_specifications() {
        let places = |url| paths(&HttpUrl::parse(url).unwrap());
        assert_eq!(
            places("https://as.test/t1"),
            [
                "/.well-known/oauth-authorization-server/t1",
                "/.well-known/openid-configuration/t1",
                "/t1/.well-known/openid-configuration"
            ]
        );
        assert_eq!(
            places("https://as.test"),
            [
                "/.well-known/oauth-authorization-server",
                "/.well-known/openid-configuration"
            ]
        );
    }

    #[test]
    fn issuers_are_compared_character_by_character() {
        let url = HttpUrl::parse("https://as.test/.well-known/x").unwrap();
        let fits = |found: &str, issuer: &str| {
            let found = ServerMetadata {
                issuer: found.to_owned(),
                ..ServerMetadata::default()
            };
            check(&found, issuer, &url).is_ok()
        };
        assert!(fits("https://as.test", "https://as.test"));
        for other in [
            "https://as.test/",
            "https://AS.test",
            "https://as.test:443",
            "",
        ] {
            assert!(!fits(other, "https://as.test"), "{other}");
        }
    }
}
