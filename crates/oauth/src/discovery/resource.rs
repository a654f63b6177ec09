//! Protected resource metadata (RFC 9728): who the server says that it is.

use mcp_http::HttpUrl;

use super::{join, shown};
use crate::OAuthError;
use crate::metadata::ResourceMetadata;
use crate::wire::{Document, Wire};

const WHAT: &str = "the resource's metadata";
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The metadata, from where the challenge says or from the well-known places; `None` where there is
/// none. A document that names another resource is an error, never skipped.
pub(super) async fn find(
    wire: &Wire,
    hint: Option<&str>,
) -> Result<Option<ResourceMetadata>, OAuthError> {
    if let Some(hint) = hint {
        // Relative references happen, and can only mean the server.
        let url = wire
            .server
            .join(hint)
            .map_err(|error| OAuthError::from_http(WHAT, error))?;
        if let Document::Found(found) = wire.document(WHAT, &url, None).await? {
            return checked(found, &wire.server).map(Some);
        }
    }
    for path in paths(&wire.server) {
        let url = join(&wire.server, &path)?;
        if let Document::Found(found) = wire.document(WHAT, &url, None).await? {
            return checked(found, &wire.server).map(Some);
        }
    }
    Ok(None)
}

/// The well-known path with the endpoint's path behind it, then the one at the root.
fn paths(server: &HttpUrl) -> Vec<String> {
    let path = server.path().trim_end_matches('/');
    let mut paths = Vec::new();
    if !path.is_empty() {
        paths.push(format!("{WELL_KNOWN}{path}"));
    }
    paths.push(WELL_KNOWN.to_owned());
    paths
}

/// The resource must be the server, or a parent path of it at the same origin: many servers publish
/// their origin only.
fn checked(metadata: ResourceMetadata, server: &HttpUrl) -> Result<ResourceMetadata, OAuthError> {
    let fits = HttpUrl::parse(&metadata.resource).is_ok_and(|resource| {
        let parent = resource.path().trim_end_matches('/');
        let below = server.path().strip_prefix(parent);
        resource.same_origin(server)
            && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if fits {
        return Ok(metadata);
    }
    Err(OAuthError::protocol(format!(
        "the resource's metadata is of another resource, {}",
        shown(&metadata.resource)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(resource: &str) -> ResourceMetadata {
        serde_json::from_value(serde_json::json!({ "resource": resource })).unwrap()
    }

    #[test]
    fn only_the_server_or_a_parent_of_it_is_the_resource() {
        let server = HttpUrl::parse("https://mcp.test/public/mcp").unwrap();
        for fine in [
            "https://mcp.test/public/mcp",
            "https://MCP.test:443/public/mcp/",
            "https://mcp.test/public",
            "https://mcp.test",
            "https://mcp.test/",
        ] {
            assert!(checked(metadata(fine), &server).is_ok(), "{fine}");
        }
        for foreign in [
            "https://evil.test/public/mcp",
            "http://mcp.test/public/mcp",
            "https://mcp.test:444/public/mcp",
            "https://mcp.test/pub",
            "https://mcp.test/public/mcp/more",
            "mcp",
            "",
        ] {
            let error = checked(metadata(foreign), &server).unwrap_err();
            assert!(matches!(error, OAuthError::Protocol { .. }), "{foreign}");
        }
    }

    #[test]
    fn the_path_comes_before_the_root() {
        let places = |url| paths(&HttpUrl::parse(url).unwrap());
        assert_eq!(
            places("https://mcp.test/public/mcp"),
            [
                "/.well-known/oauth-protected-resource/public/mcp",
                "/.well-known/oauth-protected-resource"
            ]
        );
        assert_eq!(
            places("https://mcp.test/"),
            ["/.well-known/oauth-protected-resource"]
        );
    }
}
