//! A shorter time for some calls.

use std::collections::HashMap;
use std::time::Duration;

use mcp_adapter::{Middleware, Next, ToolInvocation};
use mcp_core::{BoxFuture, Error, ToolOutput};

/// Ends calls that take longer than they may. What lies further in is dropped, which cancels the
/// request at the server too where the protocol allows; the call may have run all the same.
///
/// The deadline of the call's context holds besides: this can only shorten it.
///
/// ```
/// use std::time::Duration;
/// use mcp_middleware::Timeout;
///
/// let timeout = Timeout::new(Duration::from_secs(10)).tool("search", Duration::from_secs(2));
/// ```
#[derive(Clone, Debug)]
pub struct Timeout {
    limit: Duration,
    tools: HashMap<String, Duration>,
}

impl Timeout {
    /// The time for each call.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            tools: HashMap::new(),
        }
    }

    /// Another time for one tool, by its exposed name.
    pub fn tool(mut self, name: impl Into<String>, limit: Duration) -> Self {
        self.tools.insert(name.into(), limit);
        self
    }
}

impl Middleware for Timeout {
    fn handle<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        let limit = self.tools.get(call.name()).copied().unwrap_or(self.limit);
        Box::pin(async move {
            match tokio::time::timeout(limit, next.run(call)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Error::timeout(limit, "calling the tool")),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use mcp_core::ErrorKind;
    use mcp_core::auth::time::Instant;
    use serde_json::json;

    use super::*;
    use crate::testing::{Answer, Scripted};

    #[tokio::test(start_paused = true)]
    async fn the_shorter_time_wins() {
        let server = Scripted::new("s", [Answer::Never, Answer::Never]);
        let tool = server.tool(&json!({}));
        let timed = tool.with_middleware(
            Timeout::new(Duration::from_secs(9)).tool("t", Duration::from_secs(2)),
        );
        let began = Instant::now();
        let error = timed.call(()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(began.elapsed(), Duration::from_secs(2));

        let timed = tool.with_middleware(Timeout::new(Duration::from_secs(60)));
        let began = Instant::now();
        assert!(timed.call(()).await.is_err());
        assert_eq!(began.elapsed(), Duration::from_secs(30));
    }
}
