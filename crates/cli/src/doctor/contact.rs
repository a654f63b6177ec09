//! The steps that every server has in common, once it answers.

use std::fmt::Write as _;
use std::sync::Arc;

use mcp_adapter::ToolSet;
use mcp_core::{CallContext, Error, ProtocolVersion, ServerInfo, ToolServer, Transport};
use mcp_toolkit::config::ServerConfig;

use super::diagnosis::{Begun, Diagnosis, begin};
use crate::terminal::clean_line;

/// More problems than this are counted, not told.
const TOLD: usize = 3;

/// The step `protocol`.
pub(crate) fn versions(diagnosis: &mut Diagnosis, begun: &Begun, info: &ServerInfo) {
    let transport = diagnosis.transport.map(Transport::as_str);
    let version = info.protocol.map(ProtocolVersion::as_str);
    let itself = format!("{} {}", info.name, info.version);
    let itself = clean_line(&itself);
    let mut words: Vec<&str> = transport.into_iter().chain(version).collect();
    if !itself.is_empty() {
        words.push(&itself);
    }
    diagnosis.ok(begun, words.join(", "));
}

/// The steps `tools` and `schemas`.
pub(crate) async fn tools(
    diagnosis: &mut Diagnosis,
    server: &Arc<dyn ToolServer>,
    config: &ServerConfig,
    context: &CallContext,
) {
    let mut builder = ToolSet::builder(Arc::clone(server))
        .principal(context.principal.clone())
        .disabled(&config.disabled_tools);
    if let Some(names) = &config.enabled_tools {
        builder = builder.enabled(names);
    }
    if let Some(prefix) = &config.tool_name_prefix {
        builder = builder.prefix(prefix);
    }
    let begun = begin("tools");
    let tools = match builder.load(context).await {
        Ok(tools) => tools,
        Err(error) => {
            let advice = "the server answers, and its list of tools cannot be used";
            return diagnosis.fail(&begun, error, advice);
        }
    };
    if tools.is_empty() {
        let advice = "the server offers this user no tools (or the entry leaves them all out)";
        diagnosis.warn(&begun, "no tools", advice);
    } else {
        diagnosis.ok(&begun, format!("{} tools", tools.len()));
    }
    let begun = begin("schemas");
    let skipped = tools
        .skipped()
        .map(|(_, skipped)| format!("{} is left out: {}", skipped.name, skipped.reason));
    let unchecked = tools.iter().filter_map(|tool| {
        let reason = tool.unvalidated()?;
        Some(format!(
            "arguments of {} are not checked: {reason}",
            tool.remote_name()
        ))
    });
    let problems: Vec<_> = skipped.chain(unchecked).collect();
    if problems.is_empty() {
        return diagnosis.ok(&begun, "");
    }
    let told: Vec<_> = problems
        .iter()
        .take(TOLD)
        .map(|problem| clean_line(problem))
        .collect();
    let mut told = told.join("; ");
    if problems.len() > TOLD {
        let _written = write!(told, "; and {} more", problems.len() - TOLD);
    }
    let advice = "some tools are described in a way that cannot be used: tell the server's author";
    diagnosis.warn(&begun, told, advice);
}

/// The step `ping`.
pub(crate) fn ping(diagnosis: &mut Diagnosis, begun: &Begun, answered: Result<(), Error>) {
    match answered {
        Ok(()) => diagnosis.ok(begun, ""),
        Err(error) => {
            let advice = "the server listed its tools and did not answer a moment later: is it \
                          overloaded?";
            diagnosis.fail(begun, error, advice);
        }
    }
}
