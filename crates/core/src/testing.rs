//! A server in this process, for tests and benchmarks of what stands above servers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::auth::Fingerprint;
use crate::{
    BoxFuture, CallContext, Error, ServerId, ServerInfo, ToolCall, ToolDefinition, ToolListing,
    ToolOutput, ToolServer, Transport,
};

/// Lists the tools that it was given, and answers as it was told: `ok` by default. Nothing is sent
/// anywhere.
///
/// ```
/// use mcp_core::testing::FakeServer;
/// use mcp_core::{CallContext, ToolServer};
/// use serde_json::json;
///
/// # async fn run() -> Result<(), mcp_core::Error> {
/// let server = FakeServer::new("notes")
///     .tool("read", &json!({ "type": "object" }))
///     .answering(|call, _| Box::pin(async move { Ok(call.tool.name().into()) }));
/// let listing = server.list_tools(&CallContext::default()).await?;
/// assert_eq!(listing.tools[0].name(), "read");
/// # Ok(())
/// # }
/// ```
pub struct FakeServer {
    id: ServerId,
    definitions: Vec<String>,
    answer: Box<Answer>,
    lists: AtomicUsize,
    calls: AtomicUsize,
}

type Answer = dyn for<'a> Fn(ToolCall<'a>, &'a CallContext) -> BoxFuture<'a, Result<ToolOutput, Error>>
    + Send
    + Sync;

impl FakeServer {
    /// A server without tools.
    ///
    /// # Panics
    /// When this is no name for a server.
    pub fn new(id: &str) -> Self {
        #[expect(clippy::expect_used, reason = "a test's panic is its report")]
        let id = ServerId::new(id).expect("a name for a server");
        Self {
            id,
            definitions: Vec::new(),
            answer: Box::new(|_, context| {
                Box::pin(async {
                    context.record_attempt(Fingerprint::anonymous());
                    Ok("ok".into())
                })
            }),
            lists: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
        }
    }

    /// Lists a tool with this schema of its arguments.
    pub fn tool(self, name: &str, input_schema: &Value) -> Self {
        self.definition(json!({ "name": name, "inputSchema": input_schema }).to_string())
    }

    /// Lists a tool that is defined by this JSON, as on the wire. The text is read anew at each
    /// list, so that no two lists share memory.
    pub fn definition(mut self, json: impl Into<String>) -> Self {
        self.definitions.push(json.into());
        self
    }

    /// Answers calls with what this gives.
    pub fn answering<F>(mut self, answer: F) -> Self
    where
        F: for<'a> Fn(ToolCall<'a>, &'a CallContext) -> BoxFuture<'a, Result<ToolOutput, Error>>
            + Send
            + Sync
            + 'static,
    {
        self.answer = Box::new(answer);
        self
    }

    /// What it lists.
    ///
    /// # Panics
    /// When one of its tools is none.
    pub fn listing(&self) -> ToolListing {
        let mut info = ServerInfo::default();
        "fake".clone_into(&mut info.name);
        let mut listing = ToolListing::new(info);
        #[expect(clippy::expect_used, reason = "a test's panic is its report")]
        let parse = |text: &String| ToolDefinition::parse(text).expect("a definition of a tool");
        listing.tools = self.definitions.iter().map(parse).map(Arc::new).collect();
        listing
    }

    /// How often its tools were listed.
    pub fn lists(&self) -> usize {
        self.lists.load(Ordering::SeqCst)
    }

    /// How often a tool was called.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl ToolServer for FakeServer {
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
        Box::pin(async {
            self.lists.fetch_add(1, Ordering::SeqCst);
            Ok(self.listing())
        })
    }

    fn call_tool<'a>(
        &'a self,
        call: ToolCall<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        (self.answer)(call, context)
    }
}

impl fmt::Debug for FakeServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeServer")
            .field("id", &self.id)
            .field("tools", &self.definitions.len())
            .finish_non_exhaustive()
    }
}
