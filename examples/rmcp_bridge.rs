//! An application that speaks through rmcp, with our client below it: credentials asked at every
//! request, refreshed once, under the same limits and policies.
//!
//! `cargo run --example rmcp_bridge`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::sync::Arc;
use std::time::Duration;

use mcp_auth::{Combined, Headers, Principal, RefreshingToken, Token, TokenContext};
use mcp_http::{HttpServer, RmcpClient};
use mcp_testbed::embedded::EmbeddedServer;
use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let embedded = EmbeddedServer::start_with_sessions(Duration::from_secs(60)).await?;
    let issuer = embedded.tokens();
    let token = RefreshingToken::new(move |_: TokenContext| {
        let token = issuer.issue("alice");
        async move { Ok(Token::new(token.access).expires_in(token.expires_in)) }
    });
    let provider = Combined::new(token, Headers::new([("X-Tenant-Id", "acme")])?)?;
    let server = HttpServer::builder(embedded.url())
        .credentials(Arc::new(provider))
        .build()?;

    // These lines are the bridge.
    let client = RmcpClient::new(&server, Principal::new("alice")?);
    let config = StreamableHttpClientTransportConfig::with_uri(embedded.url());
    let transport = StreamableHttpClientTransport::with_client(client, config);

    let service = ().serve(transport).await?;
    // rmcp notices nothing of it.
    embedded.tokens().revoke("alice");
    let whoami = CallToolRequestParams::new("whoami");
    let said = service.call_tool(whoami).await?;
    let text = said.content.first().and_then(|content| content.as_text());
    println!("rmcp says: {}", text.map_or("nothing", |text| &text.text));
    service.cancel().await?;
    let count = embedded.tokens().issued("alice");
    println!("alice was given {count} tokens");
    Ok(())
}
