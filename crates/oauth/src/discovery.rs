//! From the server to who issues its tokens: protected resource, then authorization server.

mod issuer;
mod resource;

use http::HeaderValue;
use mcp_http::HttpUrl;

use crate::OAuthError;
use crate::metadata::{ResourceMetadata, ServerMetadata};
use crate::wire::{Document, Wire};

/// What is configured about discovery.
#[derive(Clone, Debug)]
pub(crate) struct DiscoverySettings {
    /// The only issuer that is fine.
    pub(crate) issuer: Option<String>,
    /// The resource indicator, in place of the one that is found.
    pub(crate) resource: Option<String>,
    /// Whether a server without protected resource metadata may be an authorization server itself,
    /// as 2025-03-26 has it.
    pub(crate) legacy: bool,
}

/// What was found out about a server.
#[derive(Clone, Debug)]
pub(crate) struct Discovered {
    /// The resource indicator (RFC 8707).
    pub(crate) resource: String,
    /// Scopes that the resource's metadata lists.
    pub(crate) scopes_supported: Option<Vec<String>>,
    /// Whether the resource wants bound tokens.
    pub(crate) dpop_required: bool,
    /// The authorization server, its issuer verified.
    pub(crate) server: ServerMetadata,
    /// Whether the authorization server published metadata; without, PKCE cannot be announced.
    pub(crate) published: bool,
}

impl Discovered {
    pub(crate) fn issuer(&self) -> &str {
        &self.server.issuer
    }
}

/// Finds the authorization server of the configured MCP server (specification 2026-07-28,
/// authorization server discovery). `hint` is the challenge's `resource_metadata`; `known` the
/// issuer that is preferred where the server names several.
pub(crate) async fn discover(
    wire: &Wire,
    settings: &DiscoverySettings,
    hint: Option<&str>,
    known: Option<&str>,
) -> Result<Discovered, OAuthError> {
    let found = resource::find(wire, hint).await?;
    let Some(resource) = found else {
        return without_resource_metadata(wire, settings).await;
    };
    let issuer = choose(&resource, settings, known)?;
    let Some(server) = issuer::find(wire, &issuer).await? else {
        return Err(OAuthError::protocol(format!(
            "the authorization server {} publishes no metadata",
            shown(&issuer)
        )));
    };
    Ok(Discovered {
        resource: settings.resource.clone().unwrap_or(resource.resource),
        scopes_supported: resource.scopes_supported,
        dpop_required: resource.dpop_bound_access_tokens_required == Some(true),
        server,
        published: true,
    })
}

/// The metadata of an identity provider that the user configured.
pub(crate) async fn identity_provider(
    wire: &Wire,
    issuer: &str,
) -> Result<ServerMetadata, OAuthError> {
    let found = issuer::find(wire, issuer).await?;
    found.ok_or_else(|| {
        OAuthError::config(format!(
            "the identity provider {} publishes no metadata",
            shown(issuer)
        ))
    })
}

fn choose(
    resource: &ResourceMetadata,
    settings: &DiscoverySettings,
    known: Option<&str>,
) -> Result<String, OAuthError> {
    let offered = &resource.authorization_servers;
    if let Some(pinned) = &settings.issuer {
        return match offered.iter().find(|offered| same(offered, pinned)) {
            // As it was configured: the user knows how the issuer spells itself.
            Some(_) => Ok(pinned.clone()),
            None => Err(OAuthError::config(
                "the server names other authorization servers than the configured `issuer`; change it if the move is meant",
            )),
        };
    }
    let known = known.filter(|known| offered.iter().any(|offered| offered == known));
    known
        .or(offered.first().map(String::as_str))
        .map(str::to_owned)
        .ok_or_else(|| {
            OAuthError::protocol("the resource's metadata names no authorization server")
        })
}

/// What 2025-03-26 said: the server is its own authorization server, with or without metadata.
async fn without_resource_metadata(
    wire: &Wire,
    settings: &DiscoverySettings,
) -> Result<Discovered, OAuthError> {
    let resource = || {
        settings
            .resource
            .clone()
            .unwrap_or_else(|| canonical(&wire.server))
    };
    if let Some(issuer) = &settings.issuer {
        let server = issuer::find(wire, issuer)
            .await?
            .ok_or_else(|| OAuthError::config("the configured `issuer` publishes no metadata"))?;
        return Ok(Discovered {
            resource: resource(),
            scopes_supported: None,
            dpop_required: false,
            server,
            published: true,
        });
    }
    if !settings.legacy {
        return Err(OAuthError::protocol(
            "the server publishes no protected resource metadata",
        ));
    }
    let base = wire
        .server
        .join("/")
        .map_err(|error| OAuthError::from_http("the server's origin", error))?;
    let origin = base.as_str().trim_end_matches('/').to_owned();
    let well_known = join(&base, "/.well-known/oauth-authorization-server")?;
    let version = HeaderValue::from_static("2025-03-26");
    let what = "the authorization server's metadata";
    let found = wire.document(what, &well_known, Some(version)).await?;
    let (server, published) = match found {
        Document::Found(server) => {
            issuer::check(&server, &origin, &well_known)?;
            (server, true)
        }
        Document::Absent => {
            let at = |path: &str| Some(format!("{origin}{path}"));
            let server = ServerMetadata {
                issuer: origin.clone(),
                authorization_endpoint: at("/authorize"),
                token_endpoint: at("/token"),
                registration_endpoint: at("/register"),
                ..ServerMetadata::default()
            };
            (server, false)
        }
    };
    Ok(Discovered {
        resource: resource(),
        scopes_supported: None,
        dpop_required: false,
        server,
        published,
    })
}

/// The canonical identifier of a server: its URL without a slash that means nothing.
fn canonical(server: &HttpUrl) -> String {
    let text = server.as_str();
    match server.path() {
        "/" => text.strip_suffix('/').unwrap_or(text).to_owned(),
        _ => text.to_owned(),
    }
}

fn join(base: &HttpUrl, path: &str) -> Result<HttpUrl, OAuthError> {
    base.join(path)
        .map_err(|error| OAuthError::from_http("a well-known URL", error))
}

/// Whether two identifiers differ at most by the slash of an empty path: some servers add it to what
/// they were configured with. Good enough to recognise what the user pinned, and for nothing else.
fn same(offered: &str, pinned: &str) -> bool {
    let bare = |text: &str| HttpUrl::parse(text).ok().filter(|url| url.path() == "/");
    offered == pinned || bare(offered).is_some_and(|offered| bare(pinned) == Some(offered))
}

/// A foreign identifier, as errors show it: character by character where nothing in it can be secret.
fn shown(identifier: &str) -> String {
    let Ok(url) = HttpUrl::parse(identifier) else {
        return "(not a URL)".to_owned();
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || ":/.-_~[]".contains(c);
    if identifier.len() < 200 && identifier.chars().all(plain) {
        return format!("`{identifier}`");
    }
    url.to_string()
}
