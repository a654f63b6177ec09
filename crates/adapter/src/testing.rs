//! A server for unit tests, without any wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_core::auth::Fingerprint;
use mcp_core::{
    BoxFuture, CallContext, Error, ServerId, ServerInfo, ToolCall, ToolDefinition, ToolListing,
    ToolOutput, ToolServer, Transport,
};
use serde_json::{Value, json};

/// Answers with what arrived: `<tool>(<arguments>) for <principal>`.
#[derive(Debug)]
pub(crate) struct Echo {
    id: ServerId,
    tools: Vec<Arc<ToolDefinition>>,
    pub(crate) calls: AtomicUsize,
}

impl Echo {
    pub(crate) fn new(id: &str, tools: &[&str]) -> Arc<Self> {
        let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
        Self::with(id, tools.iter().map(|name| definition(name, &schema)))
    }

    pub(crate) fn with(id: &str, tools: impl Iterator<Item = Arc<ToolDefinition>>) -> Arc<Self> {
        Arc::new(Self {
            id: ServerId::new(id).unwrap(),
            tools: tools.collect(),
            calls: AtomicUsize::new(0),
        })
    }

    pub(crate) fn listing(&self) -> ToolListing {
        let mut info = ServerInfo::default();
        info.name = "echo".to_owned();
        let mut listing = ToolListing::new(info);
        listing.tools.clone_from(&self.tools);
        listing
    }
}

pub(crate) fn definition(name: &str, schema: &Value) -> Arc<ToolDefinition> {
    Arc::new(ToolDefinition::from_parts(name, "for tests", schema).unwrap())
}

impl ToolServer for Echo {
    fn id(&self) -> &ServerId {
        &self.id
    }

    fn transport(&self) -> Transport {
        Transport::Local
    }

    fn list_tools<'a>(
        &'a self,
        _context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolListing, Error>> {
        Box::pin(std::future::ready(Ok(self.listing())))
    }

    fn call_tool<'a>(
        &'a self,
        call: ToolCall<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::Relaxed);
            context.record_attempt(Fingerprint::anonymous());
            let arguments = Value::Object(call.arguments.clone());
            let text = format!(
                "{}({arguments}) for {}",
                call.tool.name(),
                context.principal
            );
            Ok(ToolOutput::from(text))
        })
    }
}
