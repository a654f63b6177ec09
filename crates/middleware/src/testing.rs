//! Tools and ears for unit tests.

use std::collections::VecDeque;
use std::sync::Arc;

use mcp_adapter::AgentTool;
use mcp_core::auth::Fingerprint;
use mcp_core::testing::FakeServer;
use mcp_core::{Error, ToolDefinition, ToolOutput, ToolServer};
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

/// A server that answers from a script; `ok` when the script is over.
#[derive(Debug)]
pub(crate) struct Scripted(Arc<FakeServer>);

impl Scripted {
    pub(crate) fn new(id: &str, script: impl IntoIterator<Item = Answer>) -> Self {
        let script = Mutex::new(script.into_iter().collect::<VecDeque<_>>());
        let server = FakeServer::new(id).answering(move |_, context| {
            let answer = script.lock().pop_front();
            Box::pin(async move {
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
        });
        Self(Arc::new(server))
    }

    pub(crate) fn tool(&self, annotations: &Value) -> AgentTool {
        let definition = json!({ "name": "t", "inputSchema": {}, "annotations": annotations });
        let definition = Arc::new(ToolDefinition::parse(&definition.to_string()).unwrap());
        let server: Arc<dyn ToolServer> = Arc::<FakeServer>::clone(&self.0);
        AgentTool::new(&definition, server)
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.calls()
    }
}
