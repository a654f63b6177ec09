//! Calls with types of the caller's, and outputs that are checked against what the tool promised.

use mcp_core::{CallContext, Error, Failure, ToolOutput};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::AgentTool;

impl AgentTool {
    /// Calls the tool and reads its structured output as a type of yours, checked against the
    /// tool's output schema first.
    ///
    /// The inner `Err` is a failure that the tool reports itself (`isError`), for the model to read.
    ///
    /// ```
    /// use mcp_adapter::AgentTool;
    /// use mcp_core::ToolOutput;
    /// use serde_json::{Value, json};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Weather { degrees: f64 }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mcp_core::Error> {
    /// let tool = AgentTool::from_parts("weather", "", &json!({}), |_: Value| async {
    ///     Ok(ToolOutput::structured(&json!({ "degrees": 21.5 })))
    /// })?;
    /// match tool.call_typed::<_, Weather>(&json!({ "city": "Bern" })).await? {
    ///     Ok(weather) => assert!(weather.degrees > 21.0),
    ///     Err(output) => println!("the tool says: {}", output.text()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`call`](Self::call); [`Failure::Protocol`] when there is no structured output, or it fits
    /// neither the schema nor the type.
    pub async fn call_typed<A, O>(&self, arguments: &A) -> Result<Result<O, ToolOutput>, Error>
    where
        A: Serialize + Sync + ?Sized,
        O: DeserializeOwned,
    {
        let context = self.context();
        self.call_typed_with(arguments, &context).await
    }

    /// [`call_typed`](Self::call_typed) with a context of the caller's.
    ///
    /// # Errors
    /// As [`call_typed`](Self::call_typed) and [`call_with`](Self::call_with).
    pub async fn call_typed_with<A, O>(
        &self,
        arguments: &A,
        context: &CallContext,
    ) -> Result<Result<O, ToolOutput>, Error>
    where
        A: Serialize + Sync + ?Sized,
        O: DeserializeOwned,
    {
        let output = self.call_with(arguments, context).await?;
        if output.is_error() {
            return Ok(Err(output));
        }
        self.check_output(&output)?;
        let decoded = output.decode();
        decoded
            .map(Ok)
            .map_err(|error| error.at_server(self.server()).for_tool(self.name()))
    }

    /// Checks an output against the tool's output schema. A tool without one promises nothing, and
    /// nothing is promised of a failure that the tool reports; a schema that cannot be compiled is
    /// warned about and passed over.
    ///
    /// The specification wants the server to keep its schema, and leaves the check to the client
    /// (2026-07-28, server/tools); plain calls do without, because it reads the whole output.
    ///
    /// # Errors
    /// [`Failure::Protocol`] when there is no structured output, or it does not fit.
    pub fn check_output(&self, output: &ToolOutput) -> Result<(), Error> {
        let Some(validation) = self.shared().output_validation() else {
            return Ok(());
        };
        if output.is_error() {
            return Ok(());
        }
        let place = |error: Error| error.at_server(self.server()).for_tool(self.name());
        let structured = output.structured_content().ok_or_else(|| {
            place(Error::protocol(
                "the tool has an output schema and the result no structured content",
            ))
        })?;
        let value: Value = serde_json::from_str(structured.get()).map_err(|error| {
            place(Error::protocol_because(
                "the structured content cannot be read",
                error,
            ))
        })?;
        let Err(error) = validation.check(&value) else {
            return Ok(());
        };
        let problems: Vec<String> = match error.failure() {
            Failure::InvalidArguments(problems) => {
                problems.iter().map(ToString::to_string).collect()
            }
            other => vec![other.to_string()],
        };
        Err(place(Error::protocol(format!(
            "the structured content does not fit the tool's output schema: {}",
            problems.join("; ")
        ))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mcp_core::{ErrorKind, ToolDefinition, ToolServer};
    use serde_json::json;

    use super::*;
    use crate::testing::echo;

    fn promising() -> AgentTool {
        let definition = json!({ "name": "t", "inputSchema": {}, "outputSchema": {
            "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } } });
        let definition = Arc::new(ToolDefinition::parse(&definition.to_string()).unwrap());
        let server: Arc<dyn ToolServer> = echo("s", &[]);
        AgentTool::new(&definition, server)
    }

    #[test]
    fn an_output_is_held_to_its_promise() {
        let tool = promising();
        let check = |output: &ToolOutput| tool.check_output(output);
        assert!(check(&ToolOutput::structured(&json!({ "n": 1 }))).is_ok());
        assert!(check(&ToolOutput::error("no luck")).is_ok());
        let error = check(&ToolOutput::structured(&json!({ "n": "x" }))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(
            error.to_string().contains("/n: must be integer, is string"),
            "{error}"
        );
        assert!(check(&ToolOutput::from("text")).is_err());
    }

    #[tokio::test]
    async fn failures_of_the_tool_are_its_own() {
        let tool = AgentTool::from_parts("t", "", &json!({}), |fails: Value| async move {
            Ok(if fails["fails"] == true {
                ToolOutput::error("no luck")
            } else {
                ToolOutput::structured(&json!([1, 2]))
            })
        })
        .unwrap();
        let fine = tool.call_typed::<_, Vec<u8>>(&json!({})).await.unwrap();
        assert_eq!(fine.unwrap(), [1, 2]);
        let failed = tool
            .call_typed::<_, Vec<u8>>(&json!({ "fails": true }))
            .await
            .unwrap();
        assert_eq!(failed.unwrap_err().text(), "no luck");
        let error = tool.call_typed::<_, String>(&json!({})).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert_eq!(error.tool(), Some("t"));
    }
}
