//! `mcpt call --repeat`: the same call many times, and how long it took.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_adapter::{AgentTool, ToolSet};
use mcp_auth::time::Instant;
use mcp_core::{Error, ErrorKind};
use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::args::CallArgs;
use crate::call::{self, Plan};
use crate::exit::Exit;
use crate::failure::{self, Failure};
use crate::runtime::Work;
use crate::terminal::{self, Look};
use crate::{render, wait};

/// What came of all calls.
#[derive(Debug)]
pub(crate) struct RepeatReport {
    /// In the order in which they began.
    pub(crate) calls: Vec<Call>,
    /// From the first call's beginning to the last one's end.
    pub(crate) duration: Duration,
    /// Of the first call that failed, or why there was no call.
    pub(crate) first_error: Option<Failure>,
    /// Kept until goodbye is said to their server.
    pub(crate) tools: Option<ToolSet>,
}

/// What came of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) outcome: Outcome,
    pub(crate) duration: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Ok,
    ToolError,
    Failed(ErrorKind),
}

impl RepeatReport {
    /// The earliest call that is not `ok`.
    pub(crate) fn first_failure(&self) -> Option<&Call> {
        self.calls.iter().find(|call| call.outcome != Outcome::Ok)
    }
}

pub(crate) fn run(plan: &Plan, args: &CallArgs, calls: u32, work: Work) -> Exit {
    let concurrency = usize::from(args.concurrency);
    let calls = usize::try_from(calls).unwrap_or(usize::MAX);
    let saying = format!("calling {} {calls} times", terminal::clean_line(&plan.tool));
    let calling = |told| wait::with_spinner(&saying, all(plan, calls, concurrency, told));
    match work.run_told(calling) {
        Ok(report) => {
            print(&report, args.common.json);
            work.end(&report.tools);
            match report.first_failure().map(|call| call.outcome) {
                None => Exit::Done,
                Some(Outcome::Failed(kind)) => kind.into(),
                Some(_) => Exit::ToolError,
            }
        }
        Err(error) => {
            // It did not come to a call.
            let report = RepeatReport {
                calls: Vec::new(),
                duration: Duration::ZERO,
                first_error: Some(Failure::from(&error)),
                tools: None,
            };
            print(&report, args.common.json);
            error.kind().into()
        }
    }
}

fn print(report: &RepeatReport, json: bool) {
    let look = Look::of_stdout();
    if json {
        terminal::print(&render::repeat::json(report, look));
    } else if !report.calls.is_empty() {
        terminal::print(&render::repeat::human(report, look));
    }
    if let Some(error) = &report.first_error {
        failure::complain_of(error);
    }
}

async fn all(
    plan: &Plan,
    calls: usize,
    concurrency: usize,
    told: CancellationToken,
) -> Result<RepeatReport, Error> {
    let deadline = plan
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let (tools, tool) = Box::pin(call::find(plan, deadline, Some(&told))).await?;
    let queue = Arc::new(Queue {
        tool,
        arguments: plan.arguments.clone(),
        timeout: plan.timeout,
        calls,
        next: AtomicUsize::new(0),
        told,
    });
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..concurrency.min(calls) {
        workers.spawn(Arc::clone(&queue).work());
    }
    let mut done = Vec::with_capacity(calls);
    let mut first: Option<(usize, Failure)> = None;
    while let Some(worked) = workers.join_next().await {
        let worked = worked.map_err(|error| Error::config_because("a call panicked", error))?;
        done.extend(worked.calls);
        if let Some((at, failure)) = worked.first_error
            && first.as_ref().is_none_or(|(known, _)| at < *known)
        {
            first = Some((at, failure));
        }
    }
    let duration = began.elapsed();
    done.sort_unstable_by_key(|(at, _)| *at);
    Ok(RepeatReport {
        calls: done.into_iter().map(|(_, call)| call).collect(),
        duration,
        first_error: first.map(|(_, failure)| failure),
        tools: Some(tools),
    })
}

/// Calls that are still to be made; workers take the next one until there is none.
struct Queue {
    tool: AgentTool,
    arguments: Map<String, Value>,
    timeout: Option<Duration>,
    calls: usize,
    next: AtomicUsize,
    /// Set when the user interrupts: calls under way are cancelled, no further one begins.
    told: CancellationToken,
}

/// What a worker did.
#[derive(Default)]
struct Worked {
    calls: Vec<(usize, Call)>,
    first_error: Option<(usize, Failure)>,
}

impl Queue {
    async fn work(self: Arc<Self>) -> Worked {
        let mut worked = Worked::default();
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            if at >= self.calls || self.told.is_cancelled() {
                return worked;
            }
            let began = Instant::now();
            let deadline = self.timeout.and_then(|timeout| began.checked_add(timeout));
            let context = call::context(&self.tool, deadline);
            let context = context.with_cancellation(self.told.clone());
            let outcome = self
                .tool
                .call_object(self.arguments.clone(), &context)
                .await;
            let duration = began.elapsed();
            let outcome = match outcome {
                Ok(output) if output.is_error() => Outcome::ToolError,
                Ok(_) => Outcome::Ok,
                Err(error) => {
                    if worked.first_error.is_none() {
                        worked.first_error = Some((at, Failure::from(&error)));
                    }
                    Outcome::Failed(error.kind())
                }
            };
            worked.calls.push((at, Call { outcome, duration }));
        }
    }
}
