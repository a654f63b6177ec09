//! `mcpt call`: one call of a tool.

use std::time::Duration;

use mcp_adapter::{AgentTool, ToolSet};
use mcp_auth::Principal;
use mcp_auth::time::Instant;
use mcp_core::{CallContext, Error, Failure, ProtocolVersion, ToolOutput};
use mcp_toolkit::config::ServerConfig;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::args::CallArgs;
use crate::exit::Exit;
use crate::runtime::Work;
use crate::terminal::{self, Look, Role};
use crate::tokens::TokenPlace;
use crate::{arguments, connect, failure, render, repeat, servers, wait};

/// What came of a call.
#[derive(Debug)]
pub(crate) struct CallReport {
    pub(crate) server: Option<String>,
    pub(crate) tool: Option<String>,
    pub(crate) outcome: Result<ToolOutput, Error>,
    pub(crate) protocol: Option<ProtocolVersion>,
    pub(crate) duration: Duration,
    pub(crate) attempts: u32,
    /// Kept until goodbye is said to their server.
    pub(crate) tools: Option<ToolSet>,
}

impl CallReport {
    /// Of a call that has not been made.
    fn new((server, tool): (Option<String>, Option<String>)) -> Self {
        Self {
            server,
            tool,
            outcome: Err(Error::cancelled()),
            protocol: None,
            duration: Duration::ZERO,
            attempts: 0,
            tools: None,
        }
    }
}

/// A call that is ready to be made.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) server: ServerConfig,
    pub(crate) tool: String,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) principal: Principal,
    pub(crate) timeout: Option<Duration>,
    pub(crate) tokens: Option<TokenPlace>,
}

pub(crate) fn run(args: &CallArgs) -> Exit {
    let mut report = CallReport::new(names(args));
    let planned = plan(args, &report).and_then(|plan| {
        let concurrency = usize::from(args.concurrency);
        Ok((plan, Work::new(concurrency)?))
    });
    let (plan, work) = match planned {
        Ok(planned) => planned,
        Err(error) => {
            report.outcome = Err(error);
            return print(&report, args.common.json);
        }
    };
    if let Some(calls) = args.repeat {
        return repeat::run(&plan, args, calls, work);
    }
    once(&plan, &work, &mut report);
    let exit = print(&report, args.common.json);
    work.end(&report.tools);
    exit
}

/// Prints a report; gives the exit code.
fn print(report: &CallReport, json: bool) -> Exit {
    if json {
        terminal::print(&render::call::json(report, Look::of_stdout()));
    }
    match &report.outcome {
        Err(error) => {
            failure::complain(error);
            error.kind().into()
        }
        Ok(output) => {
            if !json {
                terminal::print(&render::call::human(output));
            }
            if output.is_error() {
                terminal::complain(Role::Warning, "tool error", "the tool reports a failure");
                return Exit::ToolError;
            }
            Exit::Done
        }
    }
}

/// The tools of the plan's server, and the one that is meant.
pub(crate) async fn find(
    plan: &Plan,
    deadline: Option<Instant>,
    cancellation: Option<&CancellationToken>,
) -> Result<(ToolSet, AgentTool), Error> {
    let mut context = CallContext::new(plan.principal.clone());
    context.deadline = deadline;
    context.cancellation = cancellation.cloned();
    let tokens = plan.tokens.as_ref();
    // Large, and awaited within others.
    let loading = Box::pin(connect::tools(
        &plan.server,
        &plan.principal,
        plan.timeout,
        tokens,
    ));
    // Without `--timeout`, the server's own limits hold.
    let tools = context
        .bound(Duration::MAX, "loading the tools", loading)
        .await?;
    let tool = tools
        .get(&plan.tool)
        .map_err(|error| error.at_server(&plan.server.id))?;
    Ok((tools, tool))
}

/// The context of a call that has to be over by then.
pub(crate) fn context(tool: &AgentTool, deadline: Option<Instant>) -> CallContext {
    match deadline {
        Some(deadline) => tool.context().with_deadline(deadline),
        None => tool.context(),
    }
}

fn once(plan: &Plan, work: &Work, report: &mut CallReport) {
    let saying = format!("calling {}", terminal::clean_line(&plan.tool));
    let began = Instant::now();
    report.outcome = work.run(wait::with_spinner(&saying, attempt(plan, report)));
    if report.duration.is_zero() {
        // It did not come to a call, or not to its end.
        report.duration = began.elapsed();
    }
}

async fn attempt(plan: &Plan, report: &mut CallReport) -> Result<ToolOutput, Error> {
    let deadline = plan
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let (tools, tool) = Box::pin(find(plan, deadline, None)).await?;
    report.tool = Some(tool.name().to_owned());
    report.protocol = tools.server_info().and_then(|info| info.protocol);
    report.tools = Some(tools);
    let context = context(&tool, deadline);
    let began = Instant::now();
    let outcome = tool.call_object(plan.arguments.clone(), &context).await;
    report.duration = began.elapsed();
    report.attempts = context.report().attempts;
    outcome
}

fn plan(args: &CallArgs, report: &CallReport) -> Result<Plan, Error> {
    let (Some(server), Some(tool)) = (&report.server, &report.tool) else {
        let wanted = if args.target.is_given() {
            "TOOL"
        } else {
            "SERVER and TOOL"
        };
        return Err(Failure::Config {
            message: format!(
                "`call` wants {wanted}, and {} words were given",
                args.words.len()
            ),
            source: None,
        }
        .into());
    };
    Ok(Plan {
        principal: servers::principal(&args.common)?,
        server: servers::to_call(server, &args.common, &args.target)?,
        tool: tool.clone(),
        arguments: arguments::read(args.args.as_deref())?,
        timeout: args.timeout,
        tokens: args.common.token_store.clone(),
    })
}

/// The server and the tool that the words name.
fn names(args: &CallArgs) -> (Option<String>, Option<String>) {
    match (args.target.is_given(), args.words.as_slice()) {
        (true, [tool]) => (Some(servers::ADHOC.to_owned()), Some(tool.clone())),
        (true, _) => (Some(servers::ADHOC.to_owned()), None),
        (false, [server, tool]) => (Some(server.clone()), Some(tool.clone())),
        (false, words) => (words.first().cloned(), None),
    }
}
