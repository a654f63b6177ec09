//! Again, where that is known to be safe.

use std::collections::HashSet;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use mcp_adapter::{Middleware, Next, ToolInvocation};
use mcp_core::auth::time::Instant;
use mcp_core::{BoxFuture, Error, ErrorKind, Failure, ToolOutput};

use crate::duration::milliseconds;

/// Repeats calls that failed for a passing reason.
///
/// A call that was never sent (no connection, no token for the moment) is repeated for every tool.
/// One that may have run (the answer was lost, the session ended, the server answered 429 or 5xx) is
/// repeated only for tools that you say are safe to repeat. Everything else, a tool that reports
/// failure itself included, is not repeated.
///
/// Waits grow from 100 ms to 5 s, with jitter. A server or a source of tokens that names a time
/// (`Retry-After`) is not asked earlier; where it names more than [`obeying`](Self::obeying) allows,
/// or more than the call's deadline would let see the end of, the error is given at once and says how
/// long.
///
/// ```
/// use mcp_middleware::Retry;
///
/// let retry = Retry::new(3).safe_tool("github", "search_issues");
/// ```
#[derive(Clone, Debug)]
pub struct Retry {
    waits: ExponentialBuilder,
    longest_asked: Duration,
    safe_tools: HashSet<(String, String)>,
    hints_trusted: HashSet<String>,
}

/// Default of [`Retry::obeying`].
const LONGEST_ASKED: Duration = Duration::from_secs(60);

impl Retry {
    /// Repeats a call at most so many times.
    pub fn new(times: usize) -> Self {
        Self {
            waits: ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(100))
                .with_max_delay(Duration::from_secs(5))
                .with_max_times(times)
                .with_jitter(),
            longest_asked: LONGEST_ASKED,
            safe_tools: HashSet::new(),
            hints_trusted: HashSet::new(),
        }
    }

    /// Other waits: the first, and the longest. Each is lengthened by a random part of itself.
    pub fn waits(mut self, first: Duration, longest: Duration) -> Self {
        self.waits = self.waits.with_min_delay(first).with_max_delay(longest);
        self
    }

    /// How long a wait that a server or a source of tokens asks for is obeyed. Default 60 s. A call
    /// that is asked to wait longer is not repeated.
    pub fn obeying(mut self, longest: Duration) -> Self {
        self.longest_asked = longest;
        self
    }

    /// A tool of a server is safe to repeat, by the server's name here and the tool's name there.
    pub fn safe_tool(mut self, server: impl Into<String>, tool: impl Into<String>) -> Self {
        self.safe_tools.insert((server.into(), tool.into()));
        self
    }

    /// Tools that this server calls read-only or idempotent are safe to repeat. The hint is the
    /// server's claim (2026-07-28, server/tools): say so only of a server that you trust.
    pub fn trust_hints(mut self, server: impl Into<String>) -> Self {
        self.hints_trusted.insert(server.into());
        self
    }

    fn is_safe(&self, call: &ToolInvocation<'_>) -> bool {
        let server = call.server().as_str();
        let named = (server.to_owned(), call.remote_name().to_owned());
        if self.safe_tools.contains(&named) {
            return true;
        }
        self.hints_trusted.contains(server) && {
            let hints = call.tool().annotations();
            hints.read_only_hint == Some(true) || hints.idempotent_hint == Some(true)
        }
    }

    /// Whether to try again, given whether the call had been sent.
    fn repeats(&self, error: &Error, sent: bool, call: &ToolInvocation<'_>) -> bool {
        match error.kind() {
            // May pass by itself, and nothing has run.
            ErrorKind::Connect => !sent || self.is_safe(call),
            ErrorKind::CredentialUnavailable => !sent,
            ErrorKind::OutcomeUnknown | ErrorKind::SessionLost | ErrorKind::ServerExited => {
                self.is_safe(call)
            }
            ErrorKind::HttpStatus => is_passing(error) && self.is_safe(call),
            _ => false,
        }
    }
}

/// 429 and the statuses of a server that is not itself for the moment.
fn is_passing(error: &Error) -> bool {
    matches!(
        error.failure(),
        Failure::HttpStatus {
            status: 429 | 500 | 502 | 503 | 504,
            ..
        }
    )
}

impl Middleware for Retry {
    fn handle<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        Box::pin(async move {
            let mut waits = self.waits.build();
            loop {
                let sent_before = call.context().report().attempts;
                let error = match next.run(call).await {
                    Ok(output) => return Ok(output),
                    Err(error) => error,
                };
                let sent = call.context().report().attempts > sent_before;
                if !self.repeats(&error, sent, call) {
                    return Err(error);
                }
                let Some(wait) = waits.next() else {
                    return Err(error);
                };
                let wait = match error.retry_after() {
                    Some(asked) if asked > self.longest_asked => return Err(error),
                    Some(asked) => asked.max(wait),
                    None => wait,
                };
                let until = Instant::now().checked_add(wait);
                let in_time = match (until, call.context().deadline) {
                    (Some(until), Some(deadline)) => until < deadline,
                    (until, None) => until.is_some(),
                    (None, _) => false,
                };
                if !in_time {
                    return Err(error);
                }
                tracing::debug!(
                    tool = call.name(),
                    error_kind = error.kind().as_str(),
                    wait_ms = milliseconds(wait),
                    "the call is repeated"
                );
                tokio::time::sleep(wait).await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use mcp_core::auth::CredentialError;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Answer, Scripted};

    fn connect() -> Error {
        let peer = "nowhere".to_owned();
        Failure::Connect { peer, source: None }.into()
    }

    fn status(status: u16) -> Error {
        Failure::HttpStatus {
            status,
            detail: String::new(),
            retry_after: None,
        }
        .into()
    }

    fn lost() -> Error {
        Error::outcome_unknown(Error::protocol("the stream ended"))
    }

    async fn run(
        retry: Retry,
        hints: Value,
        script: Vec<Answer>,
    ) -> (Result<String, ErrorKind>, usize) {
        let server = Scripted::new("s", script);
        let tool = server.tool(&hints).with_middleware(retry);
        let outcome = tool.call(()).await;
        let outcome = outcome
            .map(|output| output.text())
            .map_err(|error| error.kind());
        (outcome, server.calls())
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_never_sent_is_repeated() {
        let script = || (0..3).map(|_| Answer::Unsent(connect())).collect();
        let (outcome, calls) = run(Retry::new(3), json!({}), script()).await;
        assert_eq!((outcome, calls), (Ok("ok".to_owned()), 4));
        let (outcome, calls) = run(Retry::new(2), json!({}), script()).await;
        assert_eq!((outcome, calls), (Err(ErrorKind::Connect), 3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_run_is_repeated_only_where_it_is_safe() {
        for error in [
            lost,
            || status(503),
            || Failure::SessionLost.into(),
            || status(429),
        ] {
            let script = || vec![Answer::Sent(error())];
            let kind = error().kind();
            let (outcome, calls) = run(Retry::new(3), json!({}), script()).await;
            assert_eq!((outcome, calls), (Err(kind), 1));
            // A claim of the server's changes nothing by itself.
            let hints = json!({ "readOnlyHint": true, "idempotentHint": true });
            let (outcome, calls) = run(Retry::new(3), hints.clone(), script()).await;
            assert_eq!((outcome, calls), (Err(kind), 1));
            let trusting = Retry::new(3).trust_hints("s");
            let (outcome, calls) = run(trusting.clone(), hints, script()).await;
            assert_eq!((outcome, calls), (Ok("ok".to_owned()), 2));
            let (_, calls) = run(trusting, json!({}), script()).await;
            assert_eq!(calls, 1);
            let safe = Retry::new(3).safe_tool("s", "t");
            let (outcome, calls) = run(safe, json!({}), script()).await;
            assert_eq!((outcome, calls), (Ok("ok".to_owned()), 2));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_not_pass_is_not_repeated() {
        let failed = ToolOutput::error("no such city");
        let denied = Failure::Denied {
            by: "x".to_owned(),
            reason: "no".to_owned(),
        };
        for answer in [
            Answer::Unsent(Error::config("wrong")),
            Answer::Unsent(denied.into()),
            Answer::Sent(status(404)),
            Answer::Ok(failed),
        ] {
            let safe = Retry::new(3).safe_tool("s", "t");
            assert_eq!(run(safe, json!({}), vec![answer]).await.1, 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_are_obeyed_and_never_pass_the_deadline() {
        let busy = |seconds| {
            let error = CredentialError::retry_after(Duration::from_secs(seconds), "busy");
            vec![Answer::Unsent(error.into())]
        };
        let began = Instant::now();
        let (outcome, _) = run(Retry::new(1), json!({}), busy(10)).await;
        assert_eq!(outcome, Ok("ok".to_owned()));
        assert_eq!(began.elapsed(), Duration::from_secs(10));
        let began = Instant::now();
        let (outcome, calls) = run(Retry::new(1), json!({}), busy(60)).await;
        assert_eq!((outcome, calls), (Err(ErrorKind::CredentialUnavailable), 1));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_asks_for_time_gets_it_within_bounds() {
        let asks = |seconds| {
            let error = Failure::HttpStatus {
                status: 429,
                detail: String::new(),
                retry_after: Some(Duration::from_secs(seconds)),
            };
            vec![Answer::Sent(error.into())]
        };
        let safe = || Retry::new(1).safe_tool("s", "t");
        let timed = async |retry: Retry, seconds| {
            let began = Instant::now();
            let (outcome, calls) = run(retry, json!({}), asks(seconds)).await;
            (outcome.is_ok(), calls, began.elapsed().as_secs())
        };
        assert_eq!(timed(safe(), 20).await, (true, 2, 20));
        // Longer than is obeyed: the caller hears at once, and how long.
        let hasty = safe().obeying(Duration::from_secs(10));
        assert_eq!(timed(hasty, 20).await, (false, 1, 0));
        // A call without a deadline of its own is not held up either.
        let server = Scripted::new("s", asks(3_600));
        let tool = server.tool(&json!({})).with_middleware(safe());
        let context = mcp_core::CallContext::default();
        let began = Instant::now();
        let error = tool.call_with((), &context).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3_600)));
        assert_eq!(began.elapsed(), Duration::ZERO);
        // What is not safe to repeat is not repeated because a server names a time.
        assert_eq!(timed(Retry::new(1), 1).await, (false, 1, 0));
    }
}
