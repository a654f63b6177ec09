//! Every call audited, some of them denied, hand-written tools among them.
//!
//! `cargo run --example audit`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_toolkit::adapter::{Flow, Middleware, ToolInvocation};
use mcp_toolkit::auth::MaybeReady;
use mcp_toolkit::middleware::{Audit, JsonLines, SinkPolicy};
use mcp_toolkit::{AgentTool, Error, ToolSet, load_mcp_tools_http};
use serde_json::{Map, Value, json};

/// A rule of the platform's own. The model is told the reason.
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
    // Events of `tracing`, and a line of JSON for each call, which goes to a file as a rule. With
    // `SinkPolicy::Deny` no call is made once it is known that records are not kept.
    mcp_examples::print_audit_events();
    let audit = Audit::new()
        .every_tool()
        .sink(JsonLines::new(std::io::stdout()), SinkPolicy::Deny)?;

    let server = EmbeddedServer::start(Duration::from_secs(60)).await?;
    let tools = load_mcp_tools_http(server.url())
        .bearer(server.tokens().issue("alice").access)
        .header("X-Tenant-Id", "acme")
        .await?;
    // A tool of this program, beside those of the server and under the same middleware.
    let schema = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
    let shout = |input: Map<String, Value>| async move {
        let text = input["text"].as_str().unwrap_or_default();
        Ok::<_, Error>(text.to_uppercase())
    };
    let shout = AgentTool::local("shout", "Says it loudly.", &schema, shout)?;
    let tools: ToolSet = tools.iter().chain([shout]).collect();
    let tools = tools
        .with_middleware(audit.clone())
        .with_middleware(NoSlowTools);

    for (name, arguments) in [
        ("whoami", json!({})),
        ("shout", json!({ "text": "hey" })),
        ("slow", json!({ "milliseconds": 1 })),
    ] {
        match tools.get(name)?.call(arguments).await {
            Ok(output) => println!("{name}: {}", output.text()),
            Err(error) => println!("{name}: {error}"),
        }
        audit.flush().await;
    }
    Ok(())
}
