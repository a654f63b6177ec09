//! A bearer token, sent with every request.
//!
//! `cargo run --example bearer`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_toolkit::load_mcp_tools_http;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = EmbeddedServer::start(Duration::from_secs(60)).await?;
    let token = server.tokens().issue("alice").access;

    let tools = load_mcp_tools_http(server.url())
        .bearer(token)
        .header("X-Tenant-Id", "acme")
        .await?;
    for tool in tools.iter() {
        let description = tool.description().unwrap_or_default();
        println!("{}: {description}", tool.name());
    }
    let sum = tools.get("add")?.call(json!({ "a": 20, "b": 22 })).await?;
    println!("20 + 22 = {}", sum.text());
    Ok(())
}
