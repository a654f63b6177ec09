//! Middleware out of closures.

use std::fmt;

use mcp_adapter::{Flow, Middleware, Next, ToolInvocation};
use mcp_core::auth::MaybeReady;
use mcp_core::{BoxFuture, Error, ToolOutput};

/// A middleware that sees each call before it is made. The name is for errors and logs.
///
/// ```
/// use mcp_adapter::Flow;
/// use mcp_middleware::before_call;
///
/// let tag = before_call("tag", |call| {
///     call.arguments_mut().insert("source".to_owned(), "agent".into());
///     Ok(Flow::Continue)
/// });
/// ```
pub fn before_call<F>(name: impl Into<String>, hook: F) -> BeforeCall<F>
where
    F: Fn(&mut ToolInvocation<'_>) -> Result<Flow, Error> + Send + Sync,
{
    BeforeCall {
        name: name.into(),
        hook,
    }
}

/// A middleware that sees how each call ended, and may change it.
pub fn after_call<F>(name: impl Into<String>, hook: F) -> AfterCall<F>
where
    F: Fn(&ToolInvocation<'_>, &mut Result<ToolOutput, Error>) + Send + Sync,
{
    AfterCall {
        name: name.into(),
        hook,
    }
}

/// A middleware that runs each call, out of an async closure. The future is boxed by the closure,
/// because it borrows the call.
///
/// ```
/// use mcp_middleware::around_call;
///
/// let twice = around_call("twice", |call, next| {
///     Box::pin(async move {
///         match next.run(call).await {
///             Err(_) => next.run(call).await,
///             fine => fine,
///         }
///     })
/// });
/// ```
pub fn around_call<F>(name: impl Into<String>, hook: F) -> AroundCall<F>
where
    F: for<'a> Fn(&'a mut ToolInvocation<'_>, Next<'a>) -> BoxFuture<'a, Result<ToolOutput, Error>>
        + Send
        + Sync,
{
    AroundCall {
        name: name.into(),
        hook,
    }
}

/// Made by [`before_call`].
pub struct BeforeCall<F> {
    name: String,
    hook: F,
}

/// Made by [`after_call`].
pub struct AfterCall<F> {
    name: String,
    hook: F,
}

/// Made by [`around_call`].
pub struct AroundCall<F> {
    name: String,
    hook: F,
}

impl<F> Middleware for BeforeCall<F>
where
    F: Fn(&mut ToolInvocation<'_>) -> Result<Flow, Error> + Send + Sync,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn before_tool_call<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
    ) -> MaybeReady<'a, Result<Flow, Error>> {
        MaybeReady::ready((self.hook)(call))
    }
}

impl<F> Middleware for AfterCall<F>
where
    F: Fn(&ToolInvocation<'_>, &mut Result<ToolOutput, Error>) + Send + Sync,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn after_tool_call<'a>(
        &'a self,
        call: &'a ToolInvocation<'_>,
        outcome: &'a mut Result<ToolOutput, Error>,
    ) -> MaybeReady<'a, ()> {
        (self.hook)(call, outcome);
        MaybeReady::ready(())
    }
}

impl<F> Middleware for AroundCall<F>
where
    F: for<'a> Fn(&'a mut ToolInvocation<'_>, Next<'a>) -> BoxFuture<'a, Result<ToolOutput, Error>>
        + Send
        + Sync,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn handle<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        (self.hook)(call, next)
    }
}

impl<F> fmt::Debug for BeforeCall<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BeforeCall").field(&self.name).finish()
    }
}

impl<F> fmt::Debug for AfterCall<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AfterCall").field(&self.name).finish()
    }
}

impl<F> fmt::Debug for AroundCall<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AroundCall").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::echo;

    #[tokio::test]
    async fn closures_are_middleware() {
        let tool = echo()
            .with_middleware(after_call("shout", |call, outcome| {
                if let Ok(output) = outcome {
                    *outcome = Ok(format!("{}: {}", call.name(), output.text()).into());
                }
            }))
            .with_middleware(around_call("twice", |call, next| {
                Box::pin(async move {
                    next.run(call).await?;
                    next.run(call).await
                })
            }))
            .with_middleware(before_call("tag", |call| {
                let n = call
                    .arguments()
                    .get("n")
                    .and_then(serde_json::Value::as_i64);
                let n = n.unwrap_or_default() + 1;
                call.arguments_mut().insert("n".to_owned(), n.into());
                Ok(Flow::Continue)
            }));
        let output = tool.call(json!({ "n": 1 })).await.unwrap();
        assert_eq!(output.text(), r#"echo: {"n":3}"#);
        let shown = format!("{:?}", tool.middleware());
        assert_eq!(
            shown,
            r#"[AfterCall("shout"), AroundCall("twice"), BeforeCall("tag")]"#
        );
    }
}
