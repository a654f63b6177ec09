//! MCP tools in an agent of rig. Run with
//! `cargo run --manifest-path examples/rig_agent/Cargo.toml`.
//!
//! The tools here are made by hand, so that nothing has to listen anywhere; a set out of
//! `load_mcp_tools_http` or `load_mcp_tools_stdio` is bridged in the same way.

#![forbid(unsafe_code)]

mod bridge;
mod scripted;

use mcp_adapter::{AgentTool, ToolSet};
use mcp_core::{Error, Principal};
use mcp_middleware::before_call;
use rig::agent::AgentBuilder;
use rig::completion::{AssistantContent, Prompt as _};
use serde_json::{Value, json};

use crate::scripted::Scripted;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tools = weather()?
        .with_principal(&Principal::new("alice")?)
        .with_middleware(before_call("print", |call| {
            println!("{} calls {}", call.principal(), call.name());
            Ok(mcp_adapter::Flow::Continue)
        }));
    // First it gets an argument wrong and is told so; then it gets it right.
    let model = Scripted::new([
        AssistantContent::tool_call("1", "weather_now", json!({ "town": 7 })),
        AssistantContent::tool_call("2", "weather_now", json!({ "town": "Bern" })),
        AssistantContent::text("It is 21 degrees in Bern."),
    ]);
    let agent = AgentBuilder::new(model.clone())
        .preamble("Answer with the tools that you have.")
        .tools(bridge::tools(&tools))
        .build();
    let answer = agent.prompt("How warm is it in Bern?").max_turns(4).await?;
    println!("answer: {answer}");

    let asked = model.asked.lock().unwrap();
    let told: Vec<String> = asked
        .iter()
        .map(|request| serde_json::to_string(&request.chat_history))
        .collect::<Result<_, _>>()?;
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].tools[0].name, "weather_now");
    assert!(
        told[1].contains("/town: must be string, is integer"),
        "{}",
        told[1]
    );
    assert!(told[2].contains("21 degrees for Bern"), "{}", told[2]);
    assert_eq!(answer, "It is 21 degrees in Bern.");
    Ok(())
}

fn weather() -> Result<ToolSet, Error> {
    let schema = json!({ "type": "object", "required": ["town"],
        "properties": { "town": { "type": "string", "description": "Where" } } });
    let answer = |arguments: Value| async move {
        let town = arguments["town"].as_str().unwrap_or("nowhere").to_owned();
        Ok(format!("21 degrees for {town}"))
    };
    let tool = AgentTool::from_parts("weather.now", "How warm it is", &schema, answer)?;
    Ok([tool].into_iter().collect())
}
