//! The seam for what happens around a call: an onion, with simple hooks on top.

mod course;

use std::fmt;
use std::sync::{Arc, LazyLock};

use mcp_core::auth::MaybeReady;
use mcp_core::{BoxFuture, CallContext, Error, Principal, ServerId, ToolCall, ToolOutput};
use serde_json::{Map, Value};

pub(crate) use self::course::Mark;
pub use self::course::{Course, Reached};
use crate::AgentTool;
use crate::panics::contained;

/// What happens around every call of a tool.
///
/// Most implementations need one of the two hooks. One that has to run the call differently
/// (bound it, repeat it, answer in its place) overrides [`handle`](Self::handle), which by default
/// is made of the hooks.
///
/// A panic is the error of the call it happened in. Whatever is awaited here is part of the call
/// and ends with its deadline; dropping the call drops it. A middleware may call other tools.
///
/// ```
/// use mcp_adapter::{Flow, Middleware, ToolInvocation};
/// use mcp_core::auth::MaybeReady;
/// use mcp_core::{Error, Failure};
///
/// #[derive(Debug)]
/// struct NoDeletes;
///
/// impl Middleware for NoDeletes {
///     fn before_tool_call<'a>(
///         &'a self,
///         call: &'a mut ToolInvocation<'_>,
///     ) -> MaybeReady<'a, Result<Flow, Error>> {
///         MaybeReady::ready(if call.remote_name().starts_with("delete") {
///             Err(call.denied_by(self, "nothing is deleted here"))
///         } else {
///             Ok(Flow::Continue)
///         })
///     }
/// }
/// ```
pub trait Middleware: fmt::Debug + Send + Sync {
    /// Its name in errors and logs; by default the type's name.
    fn name(&self) -> &str {
        short_type_name(std::any::type_name::<Self>())
    }

    /// Sees a call before it is made: may change its arguments, answer in its place, or deny it.
    ///
    /// # Errors
    /// An error ends the call: [`ToolInvocation::denied_by`] where a rule says no.
    fn before_tool_call<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
    ) -> MaybeReady<'a, Result<Flow, Error>> {
        let _ = call;
        MaybeReady::ready(Ok(Flow::Continue))
    }

    /// Sees how a call ended, and may change it. Not run when [`before_tool_call`] answered or
    /// denied, and not when the call was dropped.
    ///
    /// [`before_tool_call`]: Self::before_tool_call
    fn after_tool_call<'a>(
        &'a self,
        call: &'a ToolInvocation<'_>,
        outcome: &'a mut Result<ToolOutput, Error>,
    ) -> MaybeReady<'a, ()> {
        let _ = (call, outcome);
        MaybeReady::ready(())
    }

    /// Runs the call: `next` is everything further in, down to the server.
    ///
    /// # Errors
    /// Those of the hooks and of the call.
    fn handle<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        Box::pin(async move {
            // Hooks that have nothing to wait for cost no await point.
            let flow = match self.before_tool_call(call).now() {
                Ok(flow) => flow,
                Err(pending) => pending.await,
            };
            if let Flow::Answer(output) = flow? {
                return Ok(output);
            }
            let mut outcome = next.run(call).await;
            if let Err(pending) = self.after_tool_call(call, &mut outcome).now() {
                pending.await;
            }
            outcome
        })
    }
}

/// How a call goes on after [`Middleware::before_tool_call`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Flow {
    /// The call is made.
    Continue,
    /// The call is not made; this is its answer.
    Answer(ToolOutput),
}

impl<M: Middleware + ?Sized> Middleware for Arc<M> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn before_tool_call<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
    ) -> MaybeReady<'a, Result<Flow, Error>> {
        (**self).before_tool_call(call)
    }

    fn after_tool_call<'a>(
        &'a self,
        call: &'a ToolInvocation<'_>,
        outcome: &'a mut Result<ToolOutput, Error>,
    ) -> MaybeReady<'a, ()> {
        (**self).after_tool_call(call, outcome)
    }

    fn handle<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        (**self).handle(call, next)
    }
}

/// Middleware in order: the first is the outermost. Cloning copies a pointer.
#[derive(Clone)]
pub struct MiddlewareStack(Arc<[Arc<dyn Middleware>]>);

impl MiddlewareStack {
    /// No middleware.
    pub fn new() -> Self {
        Self(Arc::from([]))
    }

    /// The same with one more, innermost.
    pub fn with(&self, middleware: impl Middleware + 'static) -> Self {
        let more: Arc<dyn Middleware> = Arc::new(middleware);
        self.iter().map(Arc::clone).chain([more]).collect()
    }

    /// The same with all of another, further in.
    pub fn join(&self, inner: &Self) -> Self {
        self.iter().chain(inner.iter()).map(Arc::clone).collect()
    }

    /// From the outermost to the innermost.
    pub fn iter(&self) -> std::slice::Iter<'_, Arc<dyn Middleware>> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for MiddlewareStack {
    fn default() -> Self {
        Self::new()
    }
}

impl FromIterator<Arc<dyn Middleware>> for MiddlewareStack {
    fn from_iter<I: IntoIterator<Item = Arc<dyn Middleware>>>(layers: I) -> Self {
        Self(layers.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a MiddlewareStack {
    type Item = &'a Arc<dyn Middleware>;
    type IntoIter = std::slice::Iter<'a, Arc<dyn Middleware>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Shows the order, outermost first.
impl fmt::Debug for MiddlewareStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// What lies further in. Copying it is how a call is repeated.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    layers: &'a [Arc<dyn Middleware>],
}

impl<'a> Next<'a> {
    pub(crate) fn of(stack: &'a MiddlewareStack) -> Self {
        Self { layers: &stack.0 }
    }

    /// Runs the rest of the onion, then the call itself. Dropping the future stops it.
    ///
    /// # Errors
    /// Those of the middleware further in and of the call; a panic there is an error here.
    pub async fn run(self, call: &mut ToolInvocation<'_>) -> Result<ToolOutput, Error> {
        let context = call.context;
        let Some((layer, layers)) = self.layers.split_first() else {
            call.validate()?;
            call.mark.tool();
            let tool = call.tool;
            let Value::Object(arguments) = &call.arguments else {
                return Err(Error::config("the arguments are not an object"));
            };
            let to_server = ToolCall::new(tool.definition(), arguments);
            let server = tool.server();
            return contained(
                context,
                || "the tool",
                || tool.binding().server.call_tool(to_server, context),
            )
            .await
            .map_err(|error| error.at_server(server));
        };
        call.mark.layer(layers.len());
        contained(
            context,
            || layer.name(),
            || layer.handle(call, Next { layers }),
        )
        .await
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.layers).finish()
    }
}

/// One call on its way through the middleware.
pub struct ToolInvocation<'c> {
    tool: &'c AgentTool,
    context: &'c CallContext,
    mark: &'c Mark,
    /// An object, always; a `Value` so that it can be validated without a copy.
    arguments: Value,
    /// Whether the arguments are known to fit since they were last changed.
    valid: bool,
}

impl<'c> ToolInvocation<'c> {
    pub(crate) fn new(
        tool: &'c AgentTool,
        context: &'c CallContext,
        mark: &'c Mark,
        arguments: Map<String, Value>,
    ) -> Self {
        Self {
            tool,
            context,
            mark,
            arguments: Value::Object(arguments),
            valid: false,
        }
    }

    /// The tool that is called.
    pub fn tool(&self) -> &'c AgentTool {
        self.tool
    }

    /// The tool's name, as the model knows it.
    pub fn name(&self) -> &'c str {
        self.tool.name()
    }

    /// The tool's name on its server.
    pub fn remote_name(&self) -> &'c str {
        self.tool.remote_name()
    }

    /// The name of the parameter model. It begins with `MCP_` for tools of MCP servers.
    pub fn param_model_name(&self) -> &'c str {
        self.tool.param_model_name()
    }

    /// The server, by its name here.
    pub fn server(&self) -> &'c ServerId {
        self.tool.server()
    }

    /// On whose behalf the call is made.
    pub fn principal(&self) -> &'c Principal {
        &self.context.principal
    }

    /// The call's context. Its report tells attempts and credentials once the call was made.
    pub fn context(&self) -> &'c CallContext {
        self.context
    }

    /// How far in the call has come; to be kept and looked at when it has ended.
    pub fn course(&self) -> Course<'c> {
        Course::new(self.tool, self.mark)
    }

    /// The arguments as they are now.
    pub fn arguments(&self) -> &Map<String, Value> {
        static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.arguments.as_object().unwrap_or(&EMPTY)
    }

    /// The arguments, to be changed. They are validated (again) before the call is made.
    pub fn arguments_mut(&mut self) -> &mut Map<String, Value> {
        self.valid = false;
        if !self.arguments.is_object() {
            self.arguments = Value::Object(Map::new());
        }
        match &mut self.arguments {
            Value::Object(arguments) => arguments,
            _ => unreachable!("made an object above"),
        }
    }

    /// Checks the arguments against the tool's schema. Every call is checked before it leaves;
    /// a middleware that asks somebody first may want to know earlier. Checking twice costs nothing.
    ///
    /// # Errors
    /// [`Failure::InvalidArguments`](mcp_core::Failure::InvalidArguments).
    pub fn validate(&mut self) -> Result<(), Error> {
        if !self.valid {
            self.tool.shared().validate(&self.arguments)?;
            self.valid = true;
        }
        Ok(())
    }

    /// The error that denies this call.
    pub fn denied_by<M: Middleware + ?Sized>(
        &self,
        middleware: &M,
        reason: impl Into<String>,
    ) -> Error {
        let by = middleware.name().to_owned();
        let reason = reason.into();
        Error::from(mcp_core::Failure::Denied { by, reason })
            .at_server(self.server())
            .for_tool(self.name())
    }
}

/// Arguments are not shown: they may be anybody's secret.
impl fmt::Debug for ToolInvocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolInvocation")
            .field("tool", &self.name())
            .field("server", self.server())
            .field("principal", self.principal())
            .field("arguments", &self.arguments().len())
            .finish_non_exhaustive()
    }
}

/// The last part of a type's path, without its parameters.
fn short_type_name(full: &str) -> &str {
    let plain = full.split('<').next().unwrap_or(full);
    plain.rsplit("::").next().unwrap_or(plain)
}

#[cfg(test)]
mod tests;
