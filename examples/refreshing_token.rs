//! A token that lives one second: 20 calls over three lives, and the caller notices nothing.
//!
//! `cargo run --example refreshing_token`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_toolkit::auth::{RefreshingToken, Token, TokenContext};
use mcp_toolkit::load_mcp_tools_http;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = EmbeddedServer::start(Duration::from_secs(1)).await?;

    let issuer = server.tokens();
    let token = RefreshingToken::new(move |_: TokenContext| {
        // Ask your identity provider here.
        let token = issuer.issue("alice");
        async move { Ok(Token::new(token.access).expires_in(token.expires_in)) }
    })
    .on_event(|event| println!("  {event:?}"));
    let tools = load_mcp_tools_http(server.url())
        .credentials(token)
        .header("X-Tenant-Id", "acme")
        .await?;

    let whoami = tools.get("whoami")?;
    for number in 1..=20 {
        println!("call {number}: {}", whoami.call(()).await?.text());
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    println!("{} tokens were issued", server.tokens().issued("alice"));
    Ok(())
}
