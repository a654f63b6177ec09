//! What a person in a hurry does with a form: accepts it as it is filled in.

use mcp_core::duplex::{InputHandler, InputRequest};
use mcp_core::{BoxFuture, CallContext, Error};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

/// Offers forms, and answers each with the defaults of its schema.
#[derive(Debug)]
pub(crate) struct AcceptDefaults;

impl InputHandler for AcceptDefaults {
    fn capabilities(&self) -> Value {
        json!({ "elicitation": { "form": { "applyDefaults": true } } })
    }

    fn answer<'a>(
        &'a self,
        request: InputRequest<'a>,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let params: Value = request
                .params
                .map_or(Ok(Value::Null), |params| serde_json::from_str(params.get()))
                .map_err(|error| Error::protocol_because("the form is malformed", error))?;
            let fields = params["requestedSchema"]["properties"].as_object();
            let content: Map<String, Value> = fields
                .into_iter()
                .flatten()
                .map(|(name, schema)| (name.clone(), filled(schema)))
                .collect();
            to_raw_value(&json!({ "action": "accept", "content": content }))
                .map_err(|error| Error::protocol_because("the answer cannot be written", error))
        })
    }
}

/// The default of a field, or else something of its type.
fn filled(schema: &Value) -> Value {
    match (schema.get("default"), schema["type"].as_str()) {
        (Some(default), _) => default.clone(),
        (None, Some("boolean")) => json!(true),
        (None, Some("integer" | "number")) => json!(1),
        (None, _) => json!("text"),
    }
}
