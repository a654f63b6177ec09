//! A bridge to `tower`: its layers around tool calls, and a tool as one of its services.
//!
//! Needs the feature `tower`, which brings `tower-layer` and `tower-service` and nothing else.
//!
//! ```
//! use std::time::Duration;
//! use mcp_adapter::AgentTool;
//! use serde_json::{Value, json};
//! use tower::ServiceBuilder;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), mcp_core::Error> {
//! let echo = |arguments: Value| async move { Ok(arguments.to_string()) };
//! let tool = AgentTool::from_parts("echo", "Says it again", &json!({}), echo)?;
//!
//! // At most eight calls at a time, over all tools that share the value, each for two seconds.
//! let layers = ServiceBuilder::new()
//!     .concurrency_limit(8)
//!     .timeout(Duration::from_secs(2));
//! let tool = tool.with_middleware(mcp_middleware::tower::layer("limits", layers));
//! assert_eq!(tool.call(json!({ "n": 1 })).await?.text(), r#"{"n":1}"#);
//! # Ok(())
//! # }
//! ```

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mcp_adapter::{AgentTool, Middleware, Next, ToolInvocation};
use mcp_core::{BoxFuture, Error, Failure, Principal, ToolOutput};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tower_layer::Layer;
use tower_service::Service;

type BoxError = Box<dyn StdError + Send + Sync>;

/// A call, as the services of a layer see it. A clone is the same call once more.
#[derive(Clone)]
#[non_exhaustive]
pub struct ToolRequest {
    /// The tool that is called, without this middleware's say: to be looked at.
    pub tool: AgentTool,
    /// On whose behalf.
    pub principal: Principal,
    /// The arguments. They are validated before the call is made.
    pub arguments: Map<String, Value>,
    inner: mpsc::Sender<Asked>,
}

/// A request that has come through the layer, and where its answer goes.
type Asked = (
    Map<String, Value>,
    oneshot::Sender<Result<ToolOutput, Error>>,
);

/// The innermost service, which a [`Layer`] is put around: everything further in than the
/// middleware. Dropping its future drops the call. One call makes one request at a time; a second
/// one beside it (hedging) waits for the first.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ToolCalls;

impl Service<ToolRequest> for ToolCalls {
    type Response = ToolOutput;
    type Error = Error;
    type Future = BoxFuture<'static, Result<ToolOutput, Error>>;

    fn poll_ready(&mut self, _task: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ToolRequest) -> Self::Future {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            // Both fail only when the call itself is gone.
            let asked = request.inner.send((request.arguments, reply)).await;
            asked.map_err(|_| Error::cancelled())?;
            answer.await.map_err(|_| Error::cancelled())?
        })
    }
}

/// A middleware out of a [`Layer`]. The layer is applied once; calls clone the service that it made,
/// so that what its clones share (a limit, a rate, a load) is shared by all calls. The name is for
/// errors and logs.
///
/// An [`Error`] of the call comes out as it is. An error of the layer's own is a denial where nothing
/// was sent, and [`Failure::OutcomeUnknown`] where the call was under way.
pub fn layer<L>(name: impl Into<String>, layer: L) -> TowerMiddleware<L::Service>
where
    L: Layer<ToolCalls>,
{
    TowerMiddleware {
        name: name.into(),
        service: Mutex::new(layer.layer(ToolCalls)),
    }
}

/// Made by [`layer`].
pub struct TowerMiddleware<S> {
    name: String,
    service: Mutex<S>,
}

impl<S> Middleware for TowerMiddleware<S>
where
    S: Service<ToolRequest, Response = ToolOutput> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn handle<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        Box::pin(async move {
            let sent_before = call.context().report().attempts;
            let (inner, mut requests) = mpsc::channel(1);
            let request = ToolRequest {
                tool: call.tool().clone(),
                principal: call.principal().clone(),
                arguments: call.arguments().clone(),
                inner,
            };
            let mut service = self.service.lock().clone();
            let mut through = pin!(async move {
                poll_fn(|task| service.poll_ready(task)).await?;
                service.call(request).await
            });
            loop {
                let (arguments, mut reply) = tokio::select! {
                    biased;
                    outcome = &mut through => return self.told(outcome, call, sent_before),
                    Some(asked) = requests.recv() => asked,
                };
                if *call.arguments() != arguments {
                    *call.arguments_mut() = arguments;
                }
                // What the layer gives up is dropped, which cancels it.
                tokio::select! {
                    biased;
                    outcome = &mut through => return self.told(outcome, call, sent_before),
                    () = reply.closed() => {}
                    outcome = next.run(call) => {
                        let _ = reply.send(outcome);
                    }
                }
            }
        })
    }
}

impl<S> TowerMiddleware<S>
where
    Self: Middleware,
{
    fn told<E: Into<BoxError>>(
        &self,
        outcome: Result<ToolOutput, E>,
        call: &ToolInvocation<'_>,
        sent_before: u32,
    ) -> Result<ToolOutput, Error> {
        outcome.map_err(|error| match error.into().downcast::<Error>() {
            Ok(own) => *own,
            Err(other) if call.context().report().attempts > sent_before => {
                Failure::OutcomeUnknown {
                    source: Some(Arc::from(other)),
                }
                .into()
            }
            Err(other) => call.denied_by(self, other.to_string()),
        })
    }
}

impl<S> fmt::Debug for TowerMiddleware<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TowerMiddleware").field(&self.name).finish()
    }
}

/// Arguments are not shown: they may be anybody's secret.
impl fmt::Debug for ToolRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolRequest")
            .field("tool", &self.tool)
            .field("principal", &self.principal)
            .field("arguments", &self.arguments.len())
            .finish_non_exhaustive()
    }
}

/// A tool as a service: arguments in, output out, through the tool's own middleware. Always ready;
/// dropping the future cancels the call.
#[derive(Clone, Debug)]
pub struct ToolService(AgentTool);

impl ToolService {
    /// The service of a tool, for the tool's principal and within its timeout.
    pub fn new(tool: AgentTool) -> Self {
        Self(tool)
    }
}

impl Service<Map<String, Value>> for ToolService {
    type Response = ToolOutput;
    type Error = Error;
    type Future = BoxFuture<'static, Result<ToolOutput, Error>>;

    fn poll_ready(&mut self, _task: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, arguments: Map<String, Value>) -> Self::Future {
        let tool = self.0.clone();
        Box::pin(async move { tool.call_object(arguments, &tool.context()).await })
    }
}

#[cfg(test)]
mod tests;
