//! Servers that run the fault child, and a look at processes.

use std::time::Duration;

use mcp_core::{CallContext, Error, Principal, ToolCall, ToolDefinition, ToolOutput, ToolServer};
use mcp_stdio::{StdioServer, StdioServerBuilder};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::{Value, json};

pub(crate) const FAULT_CHILD: &str = env!("CARGO_BIN_EXE_mcp-stdio-fault-child");

/// A server that runs the fault child in a mode.
pub(crate) fn fault_child(mode: &str) -> StdioServerBuilder {
    StdioServer::builder(FAULT_CHILD).args([mode])
}

pub(crate) fn serving() -> StdioServer {
    fault_child("serve").build().unwrap()
}

pub(crate) fn context() -> CallContext {
    CallContext::default()
}

pub(crate) fn of(user: &str) -> CallContext {
    CallContext::new(Principal::new(user).unwrap())
}

pub(crate) fn within(milliseconds: u64) -> CallContext {
    context().with_timeout(Duration::from_millis(milliseconds))
}

pub(crate) async fn call_as(
    server: &StdioServer,
    context: &CallContext,
    tool: &str,
    arguments: Value,
) -> Result<ToolOutput, Error> {
    let tool = ToolDefinition::from_parts(tool, "", &json!({})).unwrap();
    let Value::Object(arguments) = arguments else {
        panic!("arguments are an object")
    };
    server
        .call_tool(ToolCall::new(&tool, &arguments), context)
        .await
}

pub(crate) async fn call(
    server: &StdioServer,
    tool: &str,
    arguments: Value,
) -> Result<ToolOutput, Error> {
    call_as(server, &context(), tool, arguments).await
}

/// What the tool says, with nothing asked.
pub(crate) async fn say(server: &StdioServer, tool: &str) -> String {
    call(server, tool, json!({})).await.unwrap().text()
}

pub(crate) async fn pid_of(server: &StdioServer, context: &CallContext) -> i32 {
    let output = call_as(server, context, "process", json!({}))
        .await
        .unwrap();
    output.text().parse().unwrap()
}

/// Whether the process is there. A dead one counts as long as we are the ones to reap it.
pub(crate) fn exists(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let mut fields = fields.split(' ');
    let (state, parent) = (fields.next().unwrap(), fields.next().unwrap());
    state != "Z" || parent == std::process::id().to_string()
}

/// Until the process has ended and was reaped.
pub(crate) async fn gone(pid: i32) {
    let process = Pid::from_raw(pid).unwrap();
    if let Ok(process) = pidfd_open(process, PidfdFlags::empty()) {
        let ended = tokio::task::spawn_blocking(move || {
            let mut ended = [PollFd::new(&process, PollFlags::IN)];
            let deadline = Timespec {
                tv_sec: 10,
                tv_nsec: 0,
            };
            poll(&mut ended, Some(&deadline)).unwrap() > 0
        });
        assert!(ended.await.unwrap(), "process {pid} does not end");
    }
    let reaped = async {
        while exists(pid) {
            tokio::task::yield_now().await;
        }
    };
    let reaped = tokio::time::timeout(Duration::from_secs(10), reaped).await;
    assert!(reaped.is_ok(), "process {pid} is not reaped");
}

/// The error and all its causes, as a log would show them.
pub(crate) fn chain(error: &Error) -> String {
    let mut shown = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        shown = format!("{shown}: {cause}");
        source = cause.source();
    }
    shown
}
