//! The client that the official conformance suite runs: uses everything that a server offers.
//!
//! The URL is the last argument. It lists tools, resources and prompts, calls each tool (with the
//! arguments of the suite's context, or made from the schema), reads and gets the others. What the
//! suite judges is how the library speaks, so nothing here speaks the protocol.
#![expect(clippy::print_stderr, reason = "a command talks to its terminal")]

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use mcp_core::duplex::{InputHandler, InputRequest};
use mcp_core::{BoxFuture, CallContext, Error, ToolCall, ToolListing, ToolServer as _};
use mcp_http::HttpServer;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

type Outcome = Result<(), Box<dyn StdError>>;

/// A tool and its arguments.
type Wish = (String, Map<String, Value>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let url = std::env::args().next_back().ok_or("the URL is missing")?;
    let server = HttpServer::builder(url)
        .input(Arc::new(Agreeable))
        .build()?;
    let listing = server.list_tools(&context()).await?;
    for (name, arguments) in calls(&listing)? {
        let Some(tool) = listing.tools.iter().find(|tool| tool.name() == name) else {
            return Err(format!("there is no tool `{name}`").into());
        };
        let call = ToolCall::new(tool, &arguments);
        match server.call_tool(call, &context()).await {
            Ok(output) => eprintln!("{name}: {}", output.raw()),
            Err(error) => eprintln!("{name}: {error}"),
        }
    }
    read(
        &server,
        "resources/list",
        "resources",
        "uri",
        "resources/read",
    )
    .await;
    read(&server, "prompts/list", "prompts", "name", "prompts/get").await;
    server.close(&context()).await;
    Ok(())
}

fn context() -> CallContext {
    CallContext::default().with_timeout(Duration::from_secs(20))
}

/// What to call: the suite's wishes, or every tool once.
fn calls(listing: &ToolListing) -> Result<Vec<Wish>, Box<dyn StdError>> {
    if let Ok(text) = std::env::var("MCP_CONFORMANCE_CONTEXT") {
        let wishes: Value = serde_json::from_str(&text)?;
        if let Some(wishes) = wishes["toolCalls"].as_array() {
            let read = |wish: &Value| {
                let arguments = wish["arguments"].as_object().cloned().unwrap_or_default();
                (
                    wish["name"].as_str().unwrap_or_default().to_owned(),
                    arguments,
                )
            };
            return Ok(wishes.iter().map(read).collect());
        }
    }
    let schemas: Vec<Value> = listing
        .tools
        .iter()
        .map(|tool| serde_json::from_str(tool.input_schema()))
        .collect::<Result<_, _>>()?;
    let calls = listing.tools.iter().zip(&schemas).map(|(tool, schema)| {
        let properties = schema["properties"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let arguments = properties.iter().map(|(name, property)| {
            // A tool that echoes a schema gets one that another tool of the list has.
            let value = if name == "schema" {
                schemas.iter().find(|it| it.get("$defs").is_some()).cloned()
            } else {
                None
            };
            (name.clone(), value.unwrap_or_else(|| sample(property)))
        });
        (tool.name().to_owned(), arguments.collect())
    });
    Ok(calls.collect())
}

fn sample(property: &Value) -> Value {
    match property["type"].as_str() {
        Some("integer" | "number") => json!(3),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => property["enum"]
            .get(0)
            .cloned()
            .unwrap_or_else(|| json!("sample")),
    }
}

/// Lists something and reads each of it; a server that has none says so.
async fn read(server: &HttpServer, list: &str, key: &str, name: &str, read: &str) {
    let Ok(listed) = server.request(list, &Map::new(), &context()).await else {
        return;
    };
    let listed: Value = serde_json::from_str(listed.get()).unwrap_or_default();
    for item in listed[key].as_array().into_iter().flatten() {
        let mut params = Map::new();
        params.insert(name.to_owned(), item[name].clone());
        if let Err(error) = server.request(read, &params, &context()).await {
            eprintln!("{read}: {error}");
        }
    }
}

/// Agrees to every form, with the defaults that it gives.
#[derive(Debug)]
struct Agreeable;

impl InputHandler for Agreeable {
    fn capabilities(&self) -> Value {
        json!({"elicitation": {"form": {"applyDefaults": true}}})
    }

    fn answer<'a>(
        &'a self,
        request: InputRequest<'a>,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        let params: Value = request
            .params
            .and_then(|params| serde_json::from_str(params.get()).ok())
            .unwrap_or_default();
        let properties = params["requestedSchema"]["properties"].as_object().cloned();
        let content: Map<String, Value> = properties
            .into_iter()
            .flatten()
            .map(|(name, property)| {
                let given = property.get("default").cloned();
                (name, given.unwrap_or_else(|| sample(&property)))
            })
            .collect();
        let answer = to_raw_value(&json!({"action": "accept", "content": content}));
        Box::pin(async move {
            answer.map_err(|error| Error::config_because("an answer cannot be written", error))
        })
    }
}
