//! Tools made by hand: any async closure.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use mcp_core::auth::{Fingerprint, InvalidIdentity};
use mcp_core::{
    ArgumentProblem, BoxFuture, CallContext, Error, Failure, ServerId, ServerInfo, ToolCall,
    ToolDefinition, ToolListing, ToolOutput, ToolServer, Transport,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::AgentTool;
use crate::param_model::ModelKind;

impl AgentTool {
    /// An MCP tool whose calls go through a closure of yours, such as one that speaks to the server
    /// in its own way. Its parameter model is `MCP_<name>_Input`, so audits count it as MCP.
    ///
    /// The closure takes the arguments as any type that deserialises from them (a struct, or
    /// `Map<String, Value>`) and gives anything that is an output: text, or a [`ToolOutput`].
    ///
    /// ```
    /// use mcp_adapter::AgentTool;
    /// use serde_json::json;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Sum { a: i64, b: i64 }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_core::Error> {
    /// let schema = json!({ "type": "object", "required": ["a", "b"], "properties": {
    ///     "a": { "type": "integer" }, "b": { "type": "integer" } } });
    /// let sum = AgentTool::from_parts("sum", "Adds", &schema, |args: Sum| async move {
    ///     Ok((args.a + args.b).to_string())
    /// })?;
    /// assert_eq!(sum.param_model().name, "MCP_sum_Input");
    /// assert_eq!(sum.call(json!({ "a": 2, "b": 3 })).await?.text(), "5");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Failure::Config`] when `input_schema` is not a JSON object.
    pub fn from_parts<A, F, Fut, O>(
        name: &str,
        description: &str,
        input_schema: &Value,
        call_remote: F,
    ) -> Result<Self, Error>
    where
        A: DeserializeOwned + Send + 'static,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Error>> + Send + 'static,
        O: Into<ToolOutput> + 'static,
    {
        hand_made(ModelKind::Mcp, name, description, input_schema, call_remote)
    }

    /// An ordinary function of this program as a tool, to stand beside those of servers. As
    /// [`from_parts`](Self::from_parts), but its parameter model is `<name>_Input`.
    ///
    /// # Errors
    /// [`Failure::Config`] when `input_schema` is not a JSON object.
    pub fn local<A, F, Fut, O>(
        name: &str,
        description: &str,
        input_schema: &Value,
        function: F,
    ) -> Result<Self, Error>
    where
        A: DeserializeOwned + Send + 'static,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Error>> + Send + 'static,
        O: Into<ToolOutput> + 'static,
    {
        hand_made(ModelKind::Local, name, description, input_schema, function)
    }
}

fn hand_made<A, F, Fut, O>(
    kind: ModelKind,
    name: &str,
    description: &str,
    input_schema: &Value,
    function: F,
) -> Result<AgentTool, Error>
where
    A: DeserializeOwned + Send + 'static,
    F: Fn(A) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, Error>> + Send + 'static,
    O: Into<ToolOutput> + 'static,
{
    static LOCAL: LazyLock<Result<ServerId, InvalidIdentity>> =
        LazyLock::new(|| ServerId::new("local"));
    let definition = ToolDefinition::from_parts(name, description, input_schema)
        .map_err(|error| Error::config_because("the tool's definition is not valid", error))?;
    let definition = Arc::new(definition);
    let server = Function {
        id: LOCAL.clone()?,
        definition: Arc::clone(&definition),
        run: function,
        arguments: PhantomData,
    };
    Ok(AgentTool::of_kind(&definition, Arc::new(server), kind))
}

/// A closure in a server's place.
struct Function<A, F> {
    id: ServerId,
    definition: Arc<ToolDefinition>,
    run: F,
    arguments: PhantomData<fn(A)>,
}

impl<A, F, Fut, O> ToolServer for Function<A, F>
where
    A: DeserializeOwned + Send + 'static,
    F: Fn(A) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, Error>> + Send + 'static,
    O: Into<ToolOutput> + 'static,
{
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
        let mut listing = ToolListing::new(ServerInfo::default());
        listing.tools.push(Arc::clone(&self.definition));
        Box::pin(std::future::ready(Ok(listing)))
    }

    fn call_tool<'a>(
        &'a self,
        call: ToolCall<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        Box::pin(async move {
            // Reads out of the borrowed arguments: what the function does not want is not copied.
            let arguments = A::deserialize(call.arguments).map_err(|error| {
                let problem = ArgumentProblem::new("", error.to_string());
                Error::from(Failure::InvalidArguments(vec![problem]))
            })?;
            context.record_attempt(Fingerprint::anonymous());
            (self.run)(arguments).await.map(Into::into)
        })
    }
}

impl<A, F> fmt::Debug for Function<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("tool", &self.definition)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use mcp_core::ErrorKind;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_closure_is_that_calls_error() {
        let fragile = |fails: Value| async move {
            assert!(fails["fails"] != true, "canary-panic");
            Ok("fine")
        };
        let tool = AgentTool::from_parts("t", "", &json!({}), fragile).unwrap();
        let (bad, good) = tokio::join!(tool.call(json!({ "fails": true })), tool.call(()));
        let error = bad.unwrap_err();
        // It had begun: nobody knows how far it came.
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        assert!(!format!("{error:?}").contains("canary"));
        assert_eq!(good.unwrap().text(), "fine");
    }

    #[tokio::test]
    async fn arguments_that_are_no_object_or_do_not_fit_the_type_are_told() {
        #[derive(serde::Deserialize)]
        struct Own {
            n: u8,
        }
        let add = |own: Own| async move { Ok(own.n.to_string()) };
        let tool = AgentTool::from_parts("t", "", &json!({}), add).unwrap();
        assert_eq!(tool.call(json!({ "n": 7 })).await.unwrap().text(), "7");
        for wrong in [json!([1]), json!("n"), json!({ "n": 700 }), Value::Null] {
            let error = tool.call(&wrong).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArguments, "{wrong}");
        }
        assert!(AgentTool::from_parts("t", "", &json!(true), |_: Value| async { Ok("") }).is_err());
    }
}
