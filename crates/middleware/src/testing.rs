//! Tools and ears for unit tests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_adapter::AgentTool;
use mcp_core::auth::Fingerprint;
use mcp_core::{
    BoxFuture, CallContext, Error, ServerId, ServerInfo, ToolCall, ToolDefinition, ToolListing,
    ToolOutput, ToolServer, Transport,
};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

/// An MCP tool that answers with its arguments.
pub(crate) fn echo() -> AgentTool {
    let schema = json!({ "type": "object" });
    AgentTool::from_parts("echo", "", &schema, |args: Map<String, Value>| async move {
        Ok(Value::Object(args).to_string())
    })
    .unwrap()
}

/// A server that answers from a script; `ok` when the script is over.
#[derive(Debug)]
pub(crate) struct Scripted {
    id: ServerId,
    pub(crate) calls: AtomicUsize,
    script: Mutex<VecDeque<Answer>>,
}

#[derive(Debug)]
pub(crate) enum Answer {
    Ok(ToolOutput),
    /// The error comes before anything was sent.
    Unsent(Error),
    /// The error comes after the call was sent.
    Sent(Error),
    /// There is never an answer.
    Never,
}

impl Scripted {
    pub(crate) fn new(id: &str, script: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        Arc::new(Self {
            id: ServerId::new(id).unwrap(),
            calls: AtomicUsize::new(0),
            script: Mutex::new(script.into_iter().collect()),
        })
    }

    pub(crate) fn tool(self: &Arc<Self>, annotations: &Value) -> AgentTool {
        let definition = json!({ "name": "t", "inputSchema": {}, "annotations": annotations });
        let definition = Arc::new(ToolDefinition::parse(&definition.to_string()).unwrap());
        let server: Arc<dyn ToolServer> = Arc::<Self>::clone(self);
        AgentTool::new(&definition, server)
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl ToolServer for Scripted {
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
        Box::pin(async { Ok(ToolListing::new(ServerInfo::default())) })
    }

    fn call_tool<'a>(
        &'a self,
        _call: ToolCall<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let answer = self.script.lock().pop_front();
            if !matches!(answer, Some(Answer::Unsent(_))) {
                context.record_attempt(Fingerprint::of([&b"test-token-alice"[..]]));
            }
            match answer {
                None => Ok("ok".into()),
                Some(Answer::Ok(output)) => Ok(output),
                Some(Answer::Unsent(error) | Answer::Sent(error)) => Err(error),
                Some(Answer::Never) => std::future::pending().await,
            }
        })
    }
}
