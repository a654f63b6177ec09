//! Who is asked in the middle of a call.

use mcp_core::duplex::{InputHandler, InputRequest};
use mcp_core::{BoxFuture, CallContext, Error};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

type Answer = dyn Fn(&CallContext) -> BoxFuture<'static, Result<Value, Error>> + Send + Sync;

struct Answers(Box<Answer>);

/// Answers every question with what this gives for whoever calls.
pub(crate) fn answering<W>(
    answer: impl Fn(&CallContext) -> W + Send + Sync + 'static,
) -> Arc<dyn InputHandler>
where
    W: Future<Output = Result<Value, Error>> + Send + 'static,
{
    Arc::new(Answers(Box::new(move |by| Box::pin(answer(by)))))
}

/// Says yes to everything.
pub(crate) fn accepting() -> Arc<dyn InputHandler> {
    answering(|_| async { Ok(json!({"action": "accept", "content": {}})) })
}

impl InputHandler for Answers {
    fn capabilities(&self) -> Value {
        json!({"elicitation": {}})
    }

    fn answer<'a>(
        &'a self,
        _: InputRequest<'a>,
        by: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let answer = (self.0)(by).await?;
            Ok(serde_json::value::to_raw_value(&answer).unwrap())
        })
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}
