//! From a server's configuration to its tools.

use std::time::Duration;

use mcp_adapter::ToolSet;
use mcp_auth::Principal;
use mcp_core::Error;
use mcp_toolkit::config::{AuthConfig, Endpoint, ServerConfig, ServerLoader};

use crate::tokens::TokenPlace;

/// The tools of a server, as this principal sees them. A timeout of the command line goes before
/// those of the file.
pub(crate) async fn tools(
    server: &ServerConfig,
    principal: &Principal,
    timeout: Option<Duration>,
    tokens: Option<&TokenPlace>,
) -> Result<ToolSet, Error> {
    let mut server = server.clone();
    server.startup_timeout = timeout.or(server.startup_timeout);
    server.tool_timeout = timeout.or(server.tool_timeout);
    let tools = loader(server, principal, tokens).await?.await?;
    Ok(tools)
}

/// The loader of a server, with the logins that are kept.
pub(crate) async fn loader(
    server: ServerConfig,
    principal: &Principal,
    tokens: Option<&TokenPlace>,
) -> Result<ServerLoader, Error> {
    if let Endpoint::Http(http) = &server.endpoint {
        if matches!(http.auth, Some(AuthConfig::OAuth(_))) {
            let store = TokenPlace::chosen(tokens)?.open().await?;
            return Ok(server.loader().principal(principal).token_store(store));
        }
        if takes_logins(&server)
            && let Some(with_login) = logged_in(&server, principal, tokens).await
        {
            return Ok(with_login);
        }
    }
    Ok(server.loader().principal(principal))
}

/// Whether logins make sense: it is behind a URL, and nothing else says what to send.
pub(crate) fn takes_logins(server: &ServerConfig) -> bool {
    let Endpoint::Http(http) = &server.endpoint else {
        return false;
    };
    let authorization = |(name, _): &(String, _)| name.eq_ignore_ascii_case("authorization");
    match &http.auth {
        Some(AuthConfig::OAuth(_)) => true,
        Some(_) => false,
        None => http.headers_helper.is_none() && !http.headers.iter().any(authorization),
    }
}

/// The server with `auth` of type `oauth`, as it is logged in to where nothing is said.
pub(crate) fn with_oauth(server: &ServerConfig) -> ServerConfig {
    let mut server = server.clone();
    if let Endpoint::Http(http) = &mut server.endpoint {
        http.auth
            .get_or_insert_with(|| AuthConfig::OAuth(Box::default()));
    }
    server
}

/// The loader of a server that says nothing of credentials, where somebody logged in to it. Whatever
/// is wrong with the store, such a server can do without.
async fn logged_in(
    server: &ServerConfig,
    principal: &Principal,
    tokens: Option<&TokenPlace>,
) -> Option<ServerLoader> {
    let place = TokenPlace::chosen(tokens).ok()?;
    if !place.is_there() {
        return None;
    }
    let store = place.open().await.ok()?;
    let loader = with_oauth(server)
        .loader()
        .principal(principal)
        .token_store(store);
    let oauth = loader.oauth().ok()??;
    oauth.granted(principal).await.ok()??;
    Some(loader)
}
