//! The long-lived handle: many users, several servers, some of them down, through logins and
//! logouts.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::similar_names,
    reason = "a test's panic is its report, and an issuer has issued"
)]

mod bound;
mod capacity;
mod changes;
mod children;
mod crossings;
mod ends;
mod logouts;
mod partial;
mod replicas;

use std::time::Duration;

use mcp_testbed::embedded::{EmbeddedServer, TokenIssuer};
use mcp_testbed::fault::{FaultServer, Request, Wire};
use mcp_toolkit::adapter::ToolSet;
use mcp_toolkit::auth::{PerPrincipal, Principal, RefreshingToken, Token, TokenContext};
use mcp_toolkit::core::Error;
use mcp_toolkit::{HttpLoader, PrincipalTools, ServerTools, load_mcp_tools_http};
use serde_json::json;

pub(crate) const LONG: Duration = Duration::from_secs(3600);

pub(crate) fn who(user: &str) -> Principal {
    Principal::in_tenant("acme", user).unwrap()
}

/// A token of its own for each user, fetched when it is needed.
pub(crate) fn per_user(issuer: TokenIssuer) -> PerPrincipal {
    PerPrincipal::new(move |_, principal: &Principal| {
        let (issuer, user) = (issuer.clone(), principal.user().to_owned());
        Ok(RefreshingToken::new(move |_: TokenContext| {
            let issued = issuer.issue(&user);
            async move { Ok(Token::new(issued.access).expires_in(issued.expires_in)) }
        }))
    })
}

pub(crate) fn embedded(server: &EmbeddedServer) -> HttpLoader {
    load_mcp_tools_http(server.url())
        .credentials(per_user(server.tokens()))
        .header("X-Tenant-Id", "acme")
}

/// A server that says in each call that its tools have changed.
pub(crate) async fn announcing() -> FaultServer {
    FaultServer::start(|request: Request, mut wire: Wire| async move {
        if request.rpc_method() != "tools/call" {
            return wire.modern(&request).await.then_some(wire);
        }
        let notice = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
        wire.events("").await;
        wire.event(&notice.to_string()).await;
        wire.event(&request.text("done")).await;
        None
    })
    .await
}

pub(crate) async fn say(tools: &ToolSet, name: &str) -> Result<String, Error> {
    Ok(tools.get(name)?.call(json!({})).await?.text())
}

pub(crate) fn states(tools: &PrincipalTools) -> Vec<(String, String)> {
    let state = |tools: &ServerTools| match tools {
        ServerTools::Active(tools) => format!("{} tools", tools.len()),
        ServerTools::Failed(error) => error.kind().as_str().to_owned(),
        ServerTools::NeedsAuthorization(_) => "needs authorization".to_owned(),
        _ => "?".to_owned(),
    };
    let servers = tools.servers();
    servers
        .map(|(id, tools)| (id.as_str().to_owned(), state(tools)))
        .collect()
}

pub(crate) fn is(found: &PrincipalTools, expected: &[(&str, &str)]) {
    let found = states(found);
    let found: Vec<_> = found
        .iter()
        .map(|(id, state)| (id.as_str(), state.as_str()))
        .collect();
    assert_eq!(found, expected);
}
