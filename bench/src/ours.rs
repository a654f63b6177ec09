//! This library: its HTTP engine alone, and the whole way of a call.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use mcp_adapter::{AgentTool, ToolSet, ToolSetBuilder};
use mcp_auth::{Bearer, Principal, RefreshingToken, Token, TokenContext};
use mcp_core::{CallContext, ProtocolVersion, ToolCall, ToolDefinition, ToolListing, ToolServer};
use mcp_http::HttpServer;
use mcp_middleware::{Audit, JsonLines, SinkPolicy};
use serde_json::{Map, Value, json};

use crate::cell::Caller;
use crate::server::TOOL;

/// What is passed in every call.
pub(crate) fn arguments() -> Map<String, Value> {
    let arguments = json!({ "city": "Zurich", "days": 3, "units": "metric" });
    match arguments {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// A token that is fetched once and lives for an hour.
pub(crate) fn refreshing() -> RefreshingToken {
    RefreshingToken::new(|_: TokenContext| async {
        Ok(Token::new("test-token-alice").expires_in(Duration::from_secs(3600)))
    })
}

/// `HttpServer::call_tool` with a static bearer and nothing around it.
pub(crate) struct Engine {
    server: HttpServer,
    tool: Arc<ToolDefinition>,
    arguments: Map<String, Value>,
}

impl Engine {
    pub(crate) async fn connect(url: &str, version: ProtocolVersion) -> Result<Self> {
        let server = HttpServer::builder(url)
            .credentials(Arc::new(Bearer::new("test-token-alice")?))
            .protocol(Some(version))
            .build()?;
        let listing: ToolListing = server.list_tools(&CallContext::default()).await?;
        let tool = listing.tools.first().context("the list is empty")?;
        Ok(Self {
            tool: Arc::clone(tool),
            server,
            arguments: arguments(),
        })
    }
}

impl Caller for Engine {
    async fn call(&self) -> Result<()> {
        let context = CallContext::default();
        let call = ToolCall::new(&self.tool, &self.arguments);
        self.server.call_tool(call, &context).await?;
        Ok(())
    }
}

/// Who hears of each call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Audited {
    /// `tracing`, where nobody listens.
    ToTracing,
    /// Also a sink, which writes lines of JSON to nowhere.
    ToSink,
}

/// `AgentTool::call` with audit, validation and a refreshing token.
pub(crate) struct Whole {
    tool: AgentTool,
    arguments: Map<String, Value>,
}

impl Whole {
    pub(crate) async fn connect(url: &str, audited: Audited) -> Result<Self> {
        let mut audit = Audit::new();
        if audited == Audited::ToSink {
            audit = audit.sink(JsonLines::new(std::io::sink()), SinkPolicy::Drop)?;
        }
        let (builder, context) = builder(url)?;
        let set = builder.middleware(audit).load(&context).await?;
        Ok(Self {
            tool: set.get(TOOL)?,
            arguments: arguments(),
        })
    }
}

impl Caller for Whole {
    async fn call(&self) -> Result<()> {
        self.tool.call(&self.arguments).await?;
        Ok(())
    }
}

/// Loads the tools of a server for a user.
pub(crate) fn builder(url: &str) -> Result<(ToolSetBuilder, CallContext)> {
    let alice = Principal::in_tenant("acme", "alice")?;
    let server = HttpServer::builder(url)
        .credentials(Arc::new(refreshing()))
        .protocol(Some(ProtocolVersion::V2026_07_28))
        .build()?;
    let builder = ToolSet::builder(Arc::new(server)).principal(alice.clone());
    Ok((builder, CallContext::new(alice)))
}
