//! From a server's configuration to its tools.

use std::time::Duration;

use mcp_adapter::ToolSet;
use mcp_auth::Principal;
use mcp_core::Error;
use mcp_toolkit::config::ServerConfig;

/// The tools of a server, as this principal sees them. A timeout of the command line goes before
/// those of the file.
pub(crate) async fn tools(
    server: &ServerConfig,
    principal: &Principal,
    timeout: Option<Duration>,
) -> Result<ToolSet, Error> {
    let mut server = server.clone();
    server.startup_timeout = timeout.or(server.startup_timeout);
    server.tool_timeout = timeout.or(server.tool_timeout);
    server.loader().principal(principal).await
}
