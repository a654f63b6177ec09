//! A program that has no secret: what it runs on vouches for it, with a token in a file that is
//! replaced every few minutes (Kubernetes, SPIFFE, CI).
//!
//! `cargo run --example workload_identity`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::sync::Arc;

use mcp_testbed::oauth::AuthServer;
use mcp_toolkit::auth::SecretRef;
use mcp_toolkit::http::HttpUrl;
use mcp_toolkit::oauth::{Grant, OAuth};
use mcp_toolkit::{ServerId, load_mcp_tools_http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // An authorization server that trusts the platform, and an MCP server that trusts it.
    let server = AuthServer::start().await;
    let folder = tempfile::tempdir()?;
    let projected = folder.path().join("token");
    std::fs::write(&projected, "test-platform-token-1")?;

    // The file is read whenever a token is asked for with it, so it is never stale.
    let identity = Arc::new(SecretRef::file(&projected));
    let oauth = OAuth::builder(ServerId::new("reports")?, HttpUrl::parse(&server.url())?)
        .grant(Grant::JwtBearer(identity))
        .build();
    let tools = load_mcp_tools_http(server.url())
        .named("reports")
        .oauth(&oauth)
        .await?;
    let echo = tools.get("echo")?;
    println!("echo says: {}", echo.call(()).await?.text());

    // The platform replaces the file, and the server ends the access token: a 401, the new file, the
    // same call once more.
    std::fs::write(&projected, "test-platform-token-2")?;
    server.end_access();
    println!("echo says: {}", echo.call(()).await?.text());

    for form in server.forms("/token") {
        println!("exchanged {} for {}", form["assertion"], form["resource"]);
    }
    Ok(())
}
