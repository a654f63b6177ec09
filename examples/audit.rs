//! Every call audited, some of them denied, hand-written tools among them.
//!
//! `cargo run --example audit`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_toolkit::adapter::{AgentTool, Flow, Middleware, ToolInvocation, ToolSet};
use mcp_toolkit::auth::MaybeReady;
use mcp_toolkit::core::Error;
use mcp_toolkit::load_mcp_tools_http;
use mcp_toolkit::middleware::Audit;
use serde_json::{Map, Value, json};

/// A rule of the platform's own.
#[derive(Debug)]
struct NoSlowTools;

impl Middleware for NoSlowTools {
    fn before_tool_call<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
    ) -> MaybeReady<'a, Result<Flow, Error>> {
        MaybeReady::ready(match call.remote_name() {
            "slow" => Err(call.denied_by(self, "nobody has the time")),
            _ => Ok(Flow::Continue),
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    mcp_examples::print_audit_events();
    let server = EmbeddedServer::start(Duration::from_secs(60)).await?;
    let shout = |arguments: Map<String, Value>| async move {
        Ok::<_, Error>(
            arguments["text"]
                .as_str()
                .unwrap_or_default()
                .to_uppercase(),
        )
    };
    let schema = json!({ "type": "object", "properties": { "text": { "type": "string" } } });

    let tools = load_mcp_tools_http(server.url())
        .bearer(server.tokens().issue("alice").access)
        .header("X-Tenant-Id", "acme")
        .await?;
    // Tools of the server and tools of this program, under the same middleware.
    let own = AgentTool::local("shout", "Says it loudly.", &schema, shout)?;
    let tools: ToolSet = tools.iter().chain([own]).collect();
    let tools = tools
        .with_middleware(Audit::new().every_tool())
        .with_middleware(NoSlowTools);

    println!("{}", tools.get("whoami")?.call(()).await?.text());
    println!(
        "{}",
        tools
            .get("shout")?
            .call(json!({ "text": "hey" }))
            .await?
            .text()
    );
    if let Err(error) = tools.get("slow")?.call(json!({ "milliseconds": 1 })).await {
        println!("{error}");
    }
    Ok(())
}
