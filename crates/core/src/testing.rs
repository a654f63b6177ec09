//! A server in this process, for tests and benchmarks of what stands above servers.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::auth::Fingerprint;
use crate::{
    BoxFuture, CacheScope, CallContext, Error, ServerId, ServerInfo, ToolCall, ToolDefinition,
    ToolListing, ToolOutput, ToolServer, Transport,
};

/// Lists the tools that it was given, and answers as it was told: `ok` by default. Nothing is sent
/// anywhere.
///
/// It can have other tools for each who asks, hold lists back, and fail when it is told to.
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
    personal: Option<Box<Personal>>,
    ttl: Option<Duration>,
    scope: CacheScope,
    gate: Option<Semaphore>,
    answer: Box<Answer>,
    lists: AtomicUsize,
    calls: AtomicUsize,
    failing_lists: Mutex<VecDeque<Error>>,
    failing_calls: Mutex<VecDeque<Error>>,
}

type Personal = dyn Fn(&CallContext) -> Vec<String> + Send + Sync;

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
            personal: None,
            ttl: None,
            scope: CacheScope::default(),
            gate: None,
            answer: Box::new(|_, context| {
                Box::pin(async {
                    context.record_attempt(Fingerprint::anonymous());
                    Ok("ok".into())
                })
            }),
            lists: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            failing_lists: Mutex::default(),
            failing_calls: Mutex::default(),
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

    /// Lists for each who asks what this gives beside the others: definitions as on the wire.
    pub fn personal<F>(mut self, definitions: F) -> Self
    where
        F: Fn(&CallContext) -> Vec<String> + Send + Sync + 'static,
    {
        self.personal = Some(Box::new(definitions));
        self
    }

    /// Vouches for each list for so long. By default it says nothing of that.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Lets everybody share its lists.
    pub fn public(mut self) -> Self {
        self.scope = CacheScope::Public;
        self
    }

    /// Holds lists back, past so many, until [`let_through`](Self::let_through). Who waits for one
    /// is bound by its context.
    pub fn holding_lists_after(mut self, lists: usize) -> Self {
        self.gate = Some(Semaphore::new(lists));
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

    /// What it lists for nobody in particular.
    ///
    /// # Panics
    /// When one of its tools is none.
    pub fn listing(&self) -> ToolListing {
        self.listing_for(&CallContext::default())
    }

    fn listing_for(&self, context: &CallContext) -> ToolListing {
        let mut info = ServerInfo::default();
        "fake".clone_into(&mut info.name);
        let mut listing = ToolListing::new(info);
        #[expect(clippy::expect_used, reason = "a test's panic is its report")]
        let parse = |text: &String| ToolDefinition::parse(text).expect("a definition of a tool");
        let personal = self.personal.as_ref().map(|personal| personal(context));
        let personal = personal.iter().flatten();
        let all = self.definitions.iter().chain(personal);
        listing.tools = all.map(parse).map(Arc::new).collect();
        listing.ttl = self.ttl;
        listing.cache_scope = self.scope;
        listing
    }

    /// Lets so many lists more through, of those that wait and of those to come.
    ///
    /// # Panics
    /// When it holds none back.
    pub fn let_through(&self, lists: usize) {
        #[expect(clippy::expect_used, reason = "a test's panic is its report")]
        let gate = self.gate.as_ref().expect("a server that holds lists back");
        gate.add_permits(lists);
    }

    /// Fails the next list so. Said twice, the next two fail.
    pub fn fail_next_list(&self, error: impl Into<Error>) {
        queue(&self.failing_lists, error.into());
    }

    /// Fails the next call so. Said twice, the next two fail.
    pub fn fail_next_call(&self, error: impl Into<Error>) {
        queue(&self.failing_calls, error.into());
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
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolListing, Error>> {
        Box::pin(async {
            self.lists.fetch_add(1, Ordering::SeqCst);
            if let Some(gate) = &self.gate {
                let passed = async {
                    // Nobody closes it.
                    if let Ok(permit) = gate.acquire().await {
                        permit.forget();
                    }
                    Ok(())
                };
                context.bound(Duration::MAX, "listing", passed).await?;
            }
            next(&self.failing_lists)?;
            Ok(self.listing_for(context))
        })
    }

    fn call_tool<'a>(
        &'a self,
        call: ToolCall<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = next(&self.failing_calls) {
            return Box::pin(async { Err(error) });
        }
        (self.answer)(call, context)
    }
}

fn queue(failures: &Mutex<VecDeque<Error>>, error: Error) {
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    failures.push_back(error);
}

/// Nothing, or the failure whose turn it is.
fn next(failures: &Mutex<VecDeque<Error>>) -> Result<(), Error> {
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    failures.pop_front().map_or(Ok(()), Err)
}

impl fmt::Debug for FakeServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeServer")
            .field("id", &self.id)
            .field("tools", &self.definitions.len())
            .finish_non_exhaustive()
    }
}
