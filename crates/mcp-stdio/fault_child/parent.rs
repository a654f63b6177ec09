//! A process with a server as its child, for a test that kills it.

use std::io::{self, Write};

use mcp_core::{CallContext, Error, ToolCall, ToolDefinition, ToolOutput, ToolServer};
use mcp_stdio::StdioServer;
use serde_json::{Map, json};

/// Starts a server, has it start one more process, makes it ignore the end of its input, writes both
/// their ids in a line, and waits for ever.
pub(crate) fn run() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let program = std::env::current_exe()?.display().to_string();
        let server = StdioServer::builder(program).args(["serve"]).build();
        let server = server.map_err(io::Error::other)?;
        let child = call(&server, "process").await.map_err(io::Error::other)?;
        let grandchild = call(&server, "distant-grandchild").await;
        let grandchild = grandchild.map_err(io::Error::other)?;
        writeln!(io::stdout(), "{} {}", child.text(), grandchild.text())?;
        io::stdout().flush()?;
        let _ = call(&server, "deaf").await;
        std::future::pending().await
    })
}

async fn call(server: &StdioServer, tool: &str) -> Result<ToolOutput, Error> {
    let tool = ToolDefinition::from_parts(tool, "", &json!({}))
        .map_err(|error| Error::config_because("a tool of the test", error))?;
    let (context, arguments) = (CallContext::default(), Map::new());
    server
        .call_tool(ToolCall::new(&tool, &arguments), &context)
        .await
}
