//! Who called what, with which credentials, and how it ended.

mod digest;
mod queue;
mod record;
mod sink;

use std::sync::Arc;

use mcp_adapter::{AgentTool, Course, Flow, Middleware, Next, ToolInvocation};
use mcp_core::auth::MaybeReady;
use mcp_core::auth::time::{Instant, SharedClock, SystemClock};
use mcp_core::{BoxFuture, CallContext, Error, ErrorKind, ToolOutput};

use tokio_util::sync::CancellationToken;

use self::queue::Queue;
pub use self::record::{AuditDecision, AuditOutcome, AuditRecord};
pub use self::sink::{AuditSink, JsonLines, SinkPolicy};
use crate::duration::milliseconds;

/// Audits calls of MCP tools.
///
/// A tool is one of MCP when the name of its parameter model begins with `MCP_`; ordinary functions
/// pass unseen, unless [`every_tool`](Self::every_tool) is set. For each call there are
///
/// * a `tracing` event `mcp_call` with the field `tool`, before the call is made;
/// * a `tracing` event `mcp_call_end` with principal, server, tool, parameter model, credential
///   fingerprint, decision, outcome, error kind, duration and attempts, after it, also when it was
///   dropped;
/// * an [`AuditRecord`] to a sink, where there is one.
///
/// Arguments and results are in none of them; see
/// [`digest_arguments`](Self::digest_arguments). Put it outermost, so that it sees what the others
/// deny. Cloning copies a pointer.
///
/// ```
/// use mcp_middleware::{Audit, JsonLines, SinkPolicy};
///
/// let plain = Audit::new();
/// let to_file = Audit::new().sink(JsonLines::new(Vec::new()), SinkPolicy::Deny)?;
/// # Ok::<(), mcp_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Audit {
    clock: SharedClock,
    every_tool: bool,
    digest_key: Option<Arc<DigestKey>>,
    queue: Option<Arc<Queue>>,
}

/// Keyed, so that guessing arguments from a digest needs the key.
struct DigestKey([u8; 32]);

impl std::fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestKey")
    }
}

impl Audit {
    /// To `tracing` alone.
    pub fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            every_tool: false,
            digest_key: None,
            queue: None,
        }
    }

    /// Ordinary functions are audited too.
    pub fn every_tool(mut self) -> Self {
        self.every_tool = true;
        self
    }

    /// Records carry a keyed digest of the arguments as the agent gave them: equal arguments have
    /// equal digests, whatever the order of their keys, for everybody with the same key.
    pub fn digest_arguments(mut self, key: [u8; 32]) -> Self {
        self.digest_key = Some(Arc::new(DigestKey(key)));
        self
    }

    /// Records go to a sink as well, through a queue of 1,024 and a thread of its own, so that a
    /// slow sink holds up nobody; the policy says what happens when that is full. The thread ends when the last clone is dropped and the queue is
    /// written.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure::Config) when the thread cannot be started.
    pub fn sink(
        mut self,
        sink: impl AuditSink + 'static,
        policy: SinkPolicy,
    ) -> Result<Self, Error> {
        self.queue = Some(Arc::new(Queue::start(Box::new(sink), policy)?));
        Ok(self)
    }

    /// Another source of time.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// Records that did not reach the sink: it failed, or the queue was full. Those of calls that were
    /// denied for that are among them.
    pub fn lost(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.lost())
    }

    /// Waits until everything recorded so far has been written. Bound it: a sink that blocks for
    /// ever makes it wait for ever.
    pub async fn flush(&self) {
        if let Some(queue) = &self.queue {
            queue.flush().await;
        }
    }

    fn sees(&self, tool: &AgentTool) -> bool {
        self.every_tool || tool.param_model_name().starts_with("MCP_")
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self::new()
    }
}

impl Middleware for Audit {
    fn before_tool_call<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
    ) -> MaybeReady<'a, Result<Flow, Error>> {
        if self.sees(call.tool()) {
            tracing::info!(
                name: "mcp_call",
                tool = call.name(),
                server = call.server().as_str(),
                "mcp_call"
            );
        }
        MaybeReady::ready(Ok(Flow::Continue))
    }

    fn handle<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        Box::pin(async move {
            if !self.sees(call.tool()) {
                return next.run(call).await;
            }
            // Ready, always: see above.
            let _ = self.before_tool_call(call).now();
            let mut entry = Entry::open(self, call);
            if let Some(queue) = &self.queue
                && let Err(reason) = queue.admit()
            {
                let denied = Err(call.denied_by(self, reason));
                entry.admitted = false;
                entry.close(&denied);
                return denied;
            }
            let outcome = next.run(call).await;
            entry.close(&outcome);
            outcome
        })
    }
}

/// A call that is going on. Dropped before it was closed, the call was dropped.
struct Entry<'c> {
    audit: &'c Audit,
    tool: &'c AgentTool,
    context: &'c CallContext,
    course: Course<'c>,
    began: Instant,
    digest: Option<String>,
    /// Not denied for want of a place for its record.
    admitted: bool,
    closed: bool,
}

impl<'c> Entry<'c> {
    fn open(audit: &'c Audit, call: &ToolInvocation<'c>) -> Self {
        let key = audit.digest_key.as_ref();
        Self {
            tool: call.tool(),
            context: call.context(),
            course: call.course(),
            began: audit.clock.now(),
            digest: key.map(|key| digest::of(&key.0, call.arguments())),
            admitted: true,
            closed: false,
            audit,
        }
    }

    fn close(&mut self, outcome: &Result<ToolOutput, Error>) {
        self.closed = true;
        let decision = AuditDecision::of(self.course.reached(), Some(outcome));
        match outcome {
            Ok(output) if output.is_error() => self.write(decision, AuditOutcome::ToolError, None),
            Ok(_) => self.write(decision, AuditOutcome::Ok, None),
            Err(error) => {
                let outcome = match error.kind() {
                    ErrorKind::Denied => AuditOutcome::Denied,
                    ErrorKind::Cancelled => AuditOutcome::Cancelled,
                    _ => AuditOutcome::Failed,
                };
                self.write(decision, outcome, Some(error.kind()));
            }
        }
    }

    fn write(
        &mut self,
        decision: AuditDecision,
        outcome: AuditOutcome,
        error_kind: Option<ErrorKind>,
    ) {
        let duration = self.audit.clock.now().saturating_duration_since(self.began);
        let report = self.context.report();
        tracing::info!(
            name: "mcp_call_end",
            tool = self.tool.name(),
            server = self.tool.server().as_str(),
            principal = %self.context.principal,
            param_model = ?self.tool.param_model_name(),
            credentials = report.credentials.map(tracing::field::display),
            decision = decision.as_str(),
            decided_by = decision.by(),
            outcome = outcome.as_str(),
            error_kind = error_kind.map(ErrorKind::as_str),
            duration_ms = milliseconds(duration),
            attempts = report.attempts,
            "mcp_call_end"
        );
        let Some(queue) = &self.audit.queue else {
            return;
        };
        let trace = self.context.current_trace();
        let trace_id = trace.as_ref();
        let trace_id = trace_id.and_then(|trace| trace.traceparent.split('-').nth(1));
        let wall = self.audit.clock.wall();
        let record = AuditRecord {
            version: AuditRecord::VERSION,
            at: wall.checked_sub(duration).unwrap_or(wall),
            principal: self.context.principal.clone(),
            server: self.tool.server().clone(),
            tool: self.tool.name().to_owned(),
            param_model: self.tool.param_model_name().to_owned(),
            credentials: report.credentials,
            arguments_digest: self.digest.take(),
            decision,
            outcome,
            error_kind,
            duration,
            attempts: report.attempts,
            trace_id: trace_id.map(str::to_owned),
        };
        queue.push(record, self.admitted);
    }
}

impl Entry<'_> {
    /// The deadline and the token of a call lie outside of all middleware, which is dropped then.
    fn why_dropped(&self) -> (AuditOutcome, Option<ErrorKind>) {
        let token = self.context.cancellation.as_ref();
        if token.is_some_and(CancellationToken::is_cancelled) {
            return (AuditOutcome::Cancelled, Some(ErrorKind::Cancelled));
        }
        let now = self.audit.clock.now();
        if self
            .context
            .deadline
            .is_some_and(|deadline| deadline <= now)
        {
            return (AuditOutcome::Failed, Some(ErrorKind::Timeout));
        }
        (AuditOutcome::Dropped, None)
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if !self.closed {
            let decision = AuditDecision::of(self.course.reached(), None);
            let (outcome, error_kind) = self.why_dropped();
            self.write(decision, outcome, error_kind);
        }
    }
}

#[cfg(test)]
mod tests;
