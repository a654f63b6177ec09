//! A tool that an agent can call.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_core::model::{Icon, ToolAnnotations};
use mcp_core::{
    CallContext, Error, Failure, Limits, Principal, ServerId, ToolDefinition, ToolOutput,
    ToolServer, Transport,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::middleware::{Mark, Middleware, MiddlewareStack, Next, ToolInvocation};
use crate::param_model::{ModelKind, ParamModel};
use crate::shared::SharedTool;

/// A tool, bound to the principal it was loaded for. Cloning copies two pointers.
///
/// The definition, the parameter model and the compiled schema are shared by everybody who has a
/// tool with the same definition; what belongs to the principal (server handle, identity,
/// middleware) is shared by all tools of one load.
#[derive(Clone)]
pub struct AgentTool {
    listed: Arc<Listed>,
    binding: Arc<Binding>,
}

/// A shared definition under the name that it has in a set.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) name: Box<str>,
    pub(crate) shared: Arc<SharedTool>,
}

/// What a call needs besides the definition.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) server: Arc<dyn ToolServer>,
    /// Whose tool it is; nobody's in particular for tools made by hand.
    pub(crate) principal: Option<Principal>,
    pub(crate) timeout: Duration,
    pub(crate) middleware: MiddlewareStack,
}

impl Binding {
    pub(crate) fn new(server: Arc<dyn ToolServer>) -> Self {
        Self {
            server,
            principal: None,
            timeout: Limits::default().call_timeout,
            middleware: MiddlewareStack::new(),
        }
    }
}

impl AgentTool {
    /// A tool of a server, outside any set: for nobody in particular, with the default timeout and
    /// no middleware. Its exposed name is the server's, made fit where it has to be.
    pub fn new(definition: &Arc<ToolDefinition>, server: Arc<dyn ToolServer>) -> Self {
        Self::of_kind(definition, server, ModelKind::Mcp)
    }

    pub(crate) fn of_kind(
        definition: &Arc<ToolDefinition>,
        server: Arc<dyn ToolServer>,
        kind: ModelKind,
    ) -> Self {
        let wanted = crate::names::Wanted {
            server: server.id(),
            remote: definition.name(),
            name: definition.name(),
            keeps: true,
        };
        let mut names = crate::names::assign(&[wanted]);
        let listed = Listed {
            name: names.pop().unwrap_or_default(),
            shared: SharedTool::of(definition, kind),
        };
        Self::from_shared(Arc::new(listed), Arc::new(Binding::new(server)))
    }

    pub(crate) fn from_shared(listed: Arc<Listed>, binding: Arc<Binding>) -> Self {
        Self { listed, binding }
    }

    /// Its name, as the model knows it: `[A-Za-z0-9_-]{1,64}`.
    pub fn name(&self) -> &str {
        &self.listed.name
    }

    /// Its name on the server: any text. Not for a terminal or a model without care.
    pub fn remote_name(&self) -> &str {
        self.definition().name()
    }

    /// Its name for people.
    pub fn title(&self) -> Option<Cow<'_, str>> {
        self.definition().title()
    }

    /// What it does, for the model.
    pub fn description(&self) -> Option<&str> {
        self.definition().description()
    }

    /// The JSON Schema of its arguments, byte for byte as the server sent it.
    pub fn input_schema(&self) -> &str {
        self.definition().input_schema()
    }

    /// The JSON Schema of its arguments, parsed at every call.
    pub fn input_schema_value(&self) -> Value {
        // An object: the definition was read as one.
        serde_json::from_str(self.input_schema()).unwrap_or_default()
    }

    /// The JSON Schema of its structured output, as the server sent it.
    pub fn output_schema(&self) -> Option<&str> {
        self.definition().output_schema()
    }

    /// Hints about what it does: the server's claim, see [`ToolDefinition::annotations`].
    pub fn annotations(&self) -> ToolAnnotations {
        self.definition().annotations()
    }

    /// Its icons.
    pub fn icons(&self) -> Vec<Icon> {
        self.definition().icons()
    }

    /// The whole definition.
    pub fn definition(&self) -> &Arc<ToolDefinition> {
        self.listed.shared.definition()
    }

    /// Its server, by the server's name here.
    pub fn server(&self) -> &ServerId {
        self.binding.server.id()
    }

    /// What carries its calls.
    pub fn transport(&self) -> Transport {
        self.binding.server.transport()
    }

    /// Whose tool it is. `None` for a tool made by hand, which everybody may call.
    pub fn principal(&self) -> Option<&Principal> {
        self.binding.principal.as_ref()
    }

    /// Its arguments as fields, read out of the schema at first use.
    pub fn param_model(&self) -> &ParamModel {
        self.listed.shared.param_model()
    }

    /// The name of the parameter model, without reading the schema.
    pub fn param_model_name(&self) -> &str {
        self.listed.shared.param_model_name()
    }

    /// Why its arguments are not validated here, if they are not: the schema cannot be compiled
    /// (it is malformed, too large, without end, or refers to elsewhere). The server still checks.
    /// Compiles the schema if that has not been done yet.
    pub fn unvalidated(&self) -> Option<&str> {
        self.listed.shared.validation().unchecked()
    }

    /// What happens around its calls, outermost first.
    pub fn middleware(&self) -> &MiddlewareStack {
        &self.binding.middleware
    }

    /// The same tool for another principal. Credentials are asked for anew; what the first one was
    /// shown of the definition, the other one sees too.
    pub fn with_principal(&self, principal: Principal) -> Self {
        self.rebound(|binding| binding.principal = Some(principal))
    }

    /// The time for one call, everything included, where its caller sets no deadline.
    pub fn timeout(&self) -> Duration {
        self.binding.timeout
    }

    /// The same tool with another time for one call, everything included. Default 30 s.
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        self.rebound(|binding| binding.timeout = timeout)
    }

    /// The same tool with one more middleware, innermost.
    pub fn with_middleware(&self, middleware: impl Middleware + 'static) -> Self {
        self.rebound(|binding| binding.middleware = binding.middleware.with(middleware))
    }

    /// The same tool under another name.
    ///
    /// # Errors
    /// [`Failure::Config`] when the name is not `[A-Za-z0-9_-]{1,64}`.
    pub fn with_name(&self, name: &str) -> Result<Self, Error> {
        crate::names::check(name)?;
        let listed = Listed {
            name: name.into(),
            shared: Arc::clone(&self.listed.shared),
        };
        Ok(Self::from_shared(
            Arc::new(listed),
            Arc::clone(&self.binding),
        ))
    }

    /// The context that [`call`](Self::call) uses: the tool's principal, and its timeout from now.
    pub fn context(&self) -> CallContext {
        let principal = self.binding.principal.clone().unwrap_or_default();
        CallContext::new(principal).with_timeout(self.binding.timeout)
    }

    /// Calls the tool for its principal, within its timeout.
    ///
    /// `arguments` is anything that serialises to a JSON object; `()`, `None` and `null` are the
    /// empty one. Dropping the future cancels the call, at the server too where the protocol
    /// allows. Needs a tokio runtime with time enabled.
    ///
    /// ```
    /// use mcp_adapter::AgentTool;
    /// use serde_json::{Map, Value, json};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_core::Error> {
    /// let greet = AgentTool::from_parts(
    ///     "greet",
    ///     "Greets somebody",
    ///     &json!({ "type": "object", "required": ["name"],
    ///              "properties": { "name": { "type": "string" } } }),
    ///     |args: Map<String, Value>| async move { Ok(format!("hello {}", args["name"])) },
    /// )?;
    /// let output = greet.call(json!({ "name": "Alice" })).await?;
    /// assert_eq!(output.text(), r#"hello "Alice""#);
    ///
    /// let error = greet.call(json!({ "name": 7 })).await.unwrap_err();
    /// assert!(error.to_string().contains("/name: must be string, is integer"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Failure::InvalidArguments`] before anything is sent; those of the middleware and of
    /// [`ToolServer::call_tool`]. A tool that reports failure itself is an output.
    pub fn call<A: Serialize>(
        &self,
        arguments: A,
    ) -> impl Future<Output = Result<ToolOutput, Error>> + Send + use<'_, A> {
        // Here, so that the future does not hold what was passed.
        let arguments = to_object(&arguments);
        async move { self.run(arguments, &self.context()).await }
    }

    /// Calls the tool with a context of the caller's: a deadline, a cancellation token, a trace,
    /// progress. Begin with [`context`](Self::context).
    ///
    /// # Errors
    /// As [`call`](Self::call); [`Failure::Config`] when the context is for another principal than
    /// the tool.
    pub fn call_with<'t, A: Serialize>(
        &'t self,
        arguments: A,
        context: &'t CallContext,
    ) -> impl Future<Output = Result<ToolOutput, Error>> + Send + use<'t, A> {
        let arguments = to_object(&arguments);
        async move { self.run(arguments, context).await }
    }

    /// [`call_with`](Self::call_with) for arguments that are a JSON object already: they are not
    /// copied.
    ///
    /// # Errors
    /// As [`call_with`](Self::call_with).
    pub async fn call_object(
        &self,
        arguments: Map<String, Value>,
        context: &CallContext,
    ) -> Result<ToolOutput, Error> {
        self.run(Ok(arguments), context).await
    }

    async fn run(
        &self,
        arguments: Result<Map<String, Value>, Error>,
        context: &CallContext,
    ) -> Result<ToolOutput, Error> {
        self.run_unplaced(arguments, context)
            .await
            .map_err(|error| error.at_server(self.server()).for_tool(self.name()))
    }

    async fn run_unplaced(
        &self,
        arguments: Result<Map<String, Value>, Error>,
        context: &CallContext,
    ) -> Result<ToolOutput, Error> {
        let bound_to = self.binding.principal.as_ref();
        if bound_to.is_some_and(|principal| *principal != context.principal) {
            return Err(Error::config(format!(
                "the tool was loaded for {} and called for {}; load it for that principal, or \
                 begin with the tool's own context",
                bound_to.cloned().unwrap_or_default(),
                context.principal
            )));
        }
        let mark = Mark::new();
        let mut call = ToolInvocation::new(self, context, &mark, arguments?);
        // A deadline of the caller's is the caller's word, also where it is later than ours.
        let limit = match context.deadline {
            Some(_) => Duration::MAX,
            None => self.binding.timeout,
        };
        let rest = Next::of(&self.binding.middleware).run(&mut call);
        context.bound(limit, "calling the tool", rest).await
    }

    pub(crate) fn binding(&self) -> &Arc<Binding> {
        &self.binding
    }

    pub(crate) fn listed(&self) -> &Arc<Listed> {
        &self.listed
    }

    pub(crate) fn shared(&self) -> &Arc<SharedTool> {
        &self.listed.shared
    }

    fn rebound(&self, change: impl FnOnce(&mut Binding)) -> Self {
        let mut binding = (*self.binding).clone();
        change(&mut binding);
        Self::from_shared(Arc::clone(&self.listed), Arc::new(binding))
    }
}

impl fmt::Debug for AgentTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentTool")
            .field("name", &self.name())
            .field("server", self.server())
            .field("principal", &self.principal())
            .field("middleware", self.middleware())
            .finish_non_exhaustive()
    }
}

fn to_object(arguments: &impl Serialize) -> Result<Map<String, Value>, Error> {
    let problem = |message: String| {
        let problem = mcp_core::ArgumentProblem::new("", message);
        Error::from(Failure::InvalidArguments(vec![problem]))
    };
    match serde_json::to_value(arguments) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(problem("the arguments are not a JSON object".to_owned())),
        Err(error) => Err(problem(format!("the arguments are not JSON: {error}"))),
    }
}
