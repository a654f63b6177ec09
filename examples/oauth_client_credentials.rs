//! A program that acts for itself: discovery, a client secret, tokens that are renewed.
//!
//! `cargo run --example oauth_client_credentials`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use mcp_testbed::oauth::AuthServer;
use mcp_toolkit::auth::SecretRef;
use mcp_toolkit::http::HttpUrl;
use mcp_toolkit::oauth::{Grant, OAuth};
use mcp_toolkit::{ServerId, load_mcp_tools_http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // An authorization server and an MCP server that trusts it, in this process.
    let server = AuthServer::start().await;

    // Where tokens are issued is found out from the server, and who may see the secret is said here:
    // a server that names another issuer does not get it. `SecretRef::env`, `file` and `command` say
    // where a real secret is.
    let oauth = OAuth::builder(ServerId::new("reports")?, HttpUrl::parse(&server.url())?)
        .grant(Grant::ClientCredentials)
        .issuer(server.issuer())
        .client_id("nightly-batch")
        .client_secret(SecretRef::literal("test-secret"))
        .build();
    let tools = load_mcp_tools_http(server.url())
        .named("reports")
        .oauth(&oauth)
        .await?;
    println!("echo says: {}", tools.get("echo")?.call(()).await?.text());

    println!("after these requests:");
    for request in server.seen() {
        println!("  {} {}", request.method, request.path);
    }
    Ok(())
}
