//! Leave a server alone that does not answer.

use std::collections::HashMap;
use std::error::Error as _;
use std::time::Duration;

use mcp_adapter::{Middleware, Next, ToolInvocation};
use mcp_core::auth::time::Instant;
use mcp_core::{BoxFuture, Error, ErrorKind, Failure, ServerId, ToolOutput};
use parking_lot::Mutex;

/// Servers that are watched at the same time. Names of servers come from configuration, so there
/// are few; beyond this, calls pass unwatched.
const MAX_SERVERS: usize = 10_000;

/// Fails calls to a server at once after it has failed several times in a row, and tries it with one
/// call after a while.
///
/// Only failures of the server count: no connection, no answer in time, 5xx, a broken protocol, a
/// process that ended. What is one user's own (credentials, arguments, a denial) counts neither way,
/// so that nobody can shut a server for others. Nor does it count when the caller was in a hurry: an
/// answer that does not come in time is the server's failure only where the call had nine tenths of
/// the tool's time ([`AgentTool::timeout`](mcp_adapter::AgentTool::timeout)). Share one value (`Arc`)
/// among all sets that use the same servers.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use mcp_middleware::CircuitBreaker;
///
/// let breaker = Arc::new(CircuitBreaker::new(5, Duration::from_secs(30)));
/// ```
#[derive(Debug)]
pub struct CircuitBreaker {
    failures: u32,
    pause: Duration,
    servers: Mutex<HashMap<ServerId, Watch>>,
}

#[derive(Debug, Default)]
struct Watch {
    failures: u32,
    /// Set while calls are failed at once.
    open_until: Option<Instant>,
    /// One call is trying whether the server is back.
    probing: bool,
}

impl CircuitBreaker {
    /// Pauses after so many failures in a row, for so long.
    pub fn new(failures: u32, pause: Duration) -> Self {
        Self {
            failures: failures.max(1),
            pause,
            servers: Mutex::new(HashMap::new()),
        }
    }

    /// Whether a call may go: `Ok(true)` when it is the one that tries.
    fn admit(&self, server: &ServerId) -> Result<bool, Duration> {
        let mut servers = self.servers.lock();
        let Some(watch) = servers.get_mut(server) else {
            return Ok(false);
        };
        let Some(until) = watch.open_until else {
            return Ok(false);
        };
        let now = Instant::now();
        if now < until {
            return Err(until - now);
        }
        if watch.probing {
            return Err(Duration::ZERO);
        }
        watch.probing = true;
        Ok(true)
    }

    fn note(&self, server: &ServerId, outcome: &Result<ToolOutput, Error>, hasty: bool) {
        let failed = match outcome {
            Ok(_) => false,
            Err(error) if hasty && is_of_time(error) => return,
            Err(error) if is_the_servers(error) => true,
            // Says nothing of the server.
            Err(_) => return,
        };
        let mut servers = self.servers.lock();
        if !failed {
            servers.remove(server);
            return;
        }
        if servers.len() >= MAX_SERVERS && !servers.contains_key(server) {
            return;
        }
        let watch = servers.entry(server.clone()).or_default();
        watch.failures = watch.failures.saturating_add(1);
        if watch.failures >= self.failures {
            watch.open_until = Instant::now().checked_add(self.pause);
        }
    }
}

/// Whether it was waited for in vain.
fn is_of_time(error: &Error) -> bool {
    let lost = || error.source()?.downcast_ref::<Error>();
    match error.kind() {
        ErrorKind::Timeout => true,
        ErrorKind::OutcomeUnknown => lost().is_some_and(is_of_time),
        _ => false,
    }
}

fn is_the_servers(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Connect
        | ErrorKind::Tls
        | ErrorKind::Timeout
        | ErrorKind::OutcomeUnknown
        | ErrorKind::ServerExited => true,
        ErrorKind::Protocol => !matches!(error.failure(), Failure::Rpc { .. }),
        ErrorKind::HttpStatus => {
            matches!(error.failure(), Failure::HttpStatus { status: 500.., .. })
        }
        _ => false,
    }
}

impl Middleware for CircuitBreaker {
    fn handle<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        Box::pin(async move {
            let server = call.server();
            // Less than all of it: what lies further out has taken some.
            let hasty = call
                .context()
                .is_hastier_than(call.tool().timeout() / 10 * 9);
            let probing = match self.admit(server) {
                Ok(probing) => probing,
                Err(left) => {
                    let seconds = left.as_secs_f64().ceil();
                    let reason = format!(
                        "the server failed {} times in a row; try again in {seconds} s",
                        self.failures
                    );
                    return Err(call.denied_by(self, reason));
                }
            };
            // However the call ends, dropped too, the next one may try.
            let _probe = probing.then_some(Probe {
                breaker: self,
                server,
            });
            let outcome = next.run(call).await;
            self.note(server, &outcome, hasty);
            outcome
        })
    }
}

struct Probe<'a> {
    breaker: &'a CircuitBreaker,
    server: &'a ServerId,
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if let Some(watch) = self.breaker.servers.lock().get_mut(self.server) {
            watch.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mcp_adapter::AgentTool;
    use mcp_core::ToolDefinition;
    use mcp_core::testing::FakeServer;
    use serde_json::json;

    use super::*;
    use crate::testing::{Answer, Scripted};

    const PAUSE: Duration = Duration::from_secs(30);

    fn gone() -> Answer {
        let peer = "nowhere".to_owned();
        Answer::Unsent(Failure::Connect { peer, source: None }.into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_fails_is_left_alone_for_a_while() {
        let breaker = Arc::new(CircuitBreaker::new(3, PAUSE));
        let server = Scripted::new("s", [gone(), gone(), gone(), gone()]);
        let tool = server
            .tool(&json!({}))
            .with_middleware(Arc::clone(&breaker));
        for _ in 0..3 {
            assert_eq!(tool.call(()).await.unwrap_err().kind(), ErrorKind::Connect);
        }
        let error = tool.call(()).await.unwrap_err();
        assert!(error.to_string().contains("try again in 30 s"), "{error}");
        assert_eq!(server.calls(), 3);
        // Another server is not meant.
        let other = Scripted::new("other", []);
        let others = other.tool(&json!({})).with_middleware(Arc::clone(&breaker));
        assert!(others.call(()).await.is_ok());
        // One try, which fails: another pause. The next one works.
        tokio::time::advance(PAUSE).await;
        assert_eq!(tool.call(()).await.unwrap_err().kind(), ErrorKind::Connect);
        assert_eq!(tool.call(()).await.unwrap_err().kind(), ErrorKind::Denied);
        tokio::time::advance(PAUSE).await;
        assert!(tool.call(()).await.is_ok());
        assert!(tool.call(()).await.is_ok());
        assert!(breaker.servers.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_tries_and_may_be_dropped() {
        let breaker = Arc::new(CircuitBreaker::new(1, PAUSE));
        let server = Scripted::new("s", [gone(), Answer::Never]);
        let tool = server.tool(&json!({})).with_middleware(breaker);
        assert!(tool.call(()).await.is_err());
        tokio::time::advance(PAUSE).await;
        let trying = tokio::time::timeout(Duration::from_secs(1), tool.call(()));
        let (dropped, beside) = tokio::join!(trying, tool.call(()));
        assert!(dropped.is_err());
        assert_eq!(beside.unwrap_err().kind(), ErrorKind::Denied);
        assert!(tool.call(()).await.is_ok());
    }

    /// A server that takes its time, which it bounds itself, as transports do.
    fn slow(takes: Duration) -> AgentTool {
        let server = FakeServer::new("s").answering(move |_, context| {
            Box::pin(async move {
                let answer = async {
                    tokio::time::sleep(takes).await;
                    Ok("ok".into())
                };
                let bound = context.bound(Duration::MAX, "an answer", answer).await;
                // As a transport says it of a call that left.
                bound.map_err(Error::outcome_unknown)
            })
        });
        let definition = ToolDefinition::from_parts("t", "", &json!({})).unwrap();
        AgentTool::new(&Arc::new(definition), Arc::new(server))
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_in_a_hurry_does_not_shut_a_server_for_the_patient() {
        let second = Duration::from_secs(1);
        let breaker = Arc::new(CircuitBreaker::new(2, PAUSE));
        let tool = slow(10 * second).with_middleware(Arc::clone(&breaker));
        for _ in 0..4 {
            let hasty = [
                tool.context().with_timeout(second),
                tool.context().with_progress_timeout(second),
            ];
            for context in hasty {
                let error = tool.call_with((), &context).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
            }
        }
        assert!(tool.call(()).await.is_ok());

        // Who waited as long as the tool may take has seen that nothing comes.
        let tool = slow(60 * second).with_middleware(breaker);
        for _ in 0..2 {
            let error = tool.call(()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        }
        assert_eq!(tool.call(()).await.unwrap_err().kind(), ErrorKind::Denied);
    }

    #[tokio::test]
    async fn a_users_own_failures_do_not_count() {
        let breaker = CircuitBreaker::new(1, PAUSE);
        let failures = [
            Failure::Forbidden {
                detail: String::new(),
            },
            Failure::Rpc {
                code: -32602,
                message: String::new(),
            },
            Failure::HttpStatus {
                status: 404,
                detail: String::new(),
                retry_after: None,
            },
            Failure::Cancelled,
        ];
        let script = failures
            .into_iter()
            .map(|failure| Answer::Sent(failure.into()));
        let server = Scripted::new("s", script);
        let tool = server.tool(&json!({})).with_middleware(breaker);
        for _ in 0..4 {
            assert_ne!(tool.call(()).await.unwrap_err().kind(), ErrorKind::Denied);
        }
        assert!(tool.call(()).await.is_ok());
    }
}
