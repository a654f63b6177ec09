//! A token that lives one second: 20 calls over three seconds, and the caller notices nothing.
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

    // `bearer_from` on the loader is the short form, where nobody wants to be told.
    let tokens = server.tokens();
    let token = RefreshingToken::new(move |_: TokenContext| {
        // Ask your identity provider here.
        let token = tokens.issue("alice");
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
    let refused = server.seen().iter().filter(|it| it.status == 401).count();
    let issued = server.tokens().issued("alice");
    println!("{issued} tokens were issued, {refused} requests refused");
    Ok(())
}
