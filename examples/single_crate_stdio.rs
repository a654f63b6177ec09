//! `mcp-stdio` alone: a child process as a `ToolServer`, without HTTP, TLS or the facade.
//!
//! `cargo run --example single_crate_stdio`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use mcp_core::{CallContext, ToolCall, ToolServer};
use mcp_stdio::StdioServer;
use mcp_testbed::embedded::serve_stdio;
use serde_json::{Map, json};

/// With this argument the program is the child process of itself.
const BE_THE_CHILD: &str = "--serve-stdio";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().any(|argument| argument == BE_THE_CHILD) {
        return Ok(serve_stdio().await?);
    }
    let program = std::env::current_exe()?;
    let server = StdioServer::builder(program.to_string_lossy())
        .args([BE_THE_CHILD])
        .build()?;

    let context = CallContext::default();
    let listing = server.list_tools(&context).await?;
    println!("{} offers:", listing.server.name);
    for tool in &listing.tools {
        println!("  {}", tool.name());
    }
    let mut tools = listing.tools.iter();
    let add = tools.find(|tool| tool.name() == "add");
    let add = add.ok_or("no such tool")?;
    let arguments = Map::from_iter([("a".to_owned(), json!(1)), ("b".to_owned(), json!(2))]);
    let call = ToolCall::new(add, &arguments);
    println!("1 + 2 = {}", server.call_tool(call, &context).await?.text());

    // Its input is closed, and it gets time to end by itself.
    server.close(&context).await;
    Ok(())
}
