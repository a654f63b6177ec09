//! Tools in the forms that model providers take, with what had to be left out.
//!
//! `cargo run --example openai_tools`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_toolkit::adapter::export;
use mcp_toolkit::load_mcp_tools_http;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = EmbeddedServer::start(Duration::from_secs(60)).await?;
    let tools = load_mcp_tools_http(server.url())
        .bearer(server.tokens().issue("bob").access)
        .header("X-Tenant-Id", "acme")
        .await?;

    let tool = tools.get("book_room")?;
    for (provider, exported) in [
        ("OpenAI", Some(export::openai(&tool))),
        ("OpenAI, strict", export::openai_strict(&tool)),
        ("Anthropic", Some(export::anthropic(&tool))),
        ("Gemini", Some(export::gemini(&tool))),
    ] {
        println!("== {provider}");
        let Some(exported) = exported else {
            // Strict mode has no words for some schemas: call it without.
            println!("cannot say it");
            continue;
        };
        println!("{:#}", exported.declaration);
        for dropped in &exported.dropped {
            println!("left out: {dropped:?}");
        }
    }
    Ok(())
}
