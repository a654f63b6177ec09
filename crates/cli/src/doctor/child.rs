//! A server that is a child process.

use std::path::Path;
use std::sync::Arc;

use mcp_core::{CallContext, Error, ErrorKind, Failure, ToolServer};
use mcp_stdio::{ProgramNotFound, StdioServer};
use mcp_toolkit::config::{ServerConfig, StdioConfig};

use super::contact;
use super::diagnosis::{Begun, Diagnosis, begin};
use super::settings::{self, Patient};
use super::variables;
use crate::terminal::clean_line;

pub(crate) async fn examine(
    diagnosis: &mut Diagnosis,
    config: &ServerConfig,
    stdio: &StdioConfig,
    patient: &Patient<'_>,
) {
    let mut begun = begin("configuration");
    let mut config = config.clone();
    config.startup_timeout = Some(patient.limits.startup_timeout);
    config.tool_timeout = Some(patient.limits.call_timeout);
    let loader = config.loader().principal(patient.principal);
    let server = match loader.child().await {
        Ok(Some(server)) => Arc::new(server),
        Ok(None) => return,
        Err(error) => return settings::refuse(diagnosis, &begun, error),
    };
    let context =
        || CallContext::new(patient.principal.clone()).with_timeout(patient.limits.startup_timeout);
    begun.stop();
    let mut begun_start = begin("start");
    let first = server.list_tools(&context()).await;
    begun_start.stop();
    let listing = match first {
        Ok(listing) => listing,
        Err(error) => {
            if error.kind() == ErrorKind::Config {
                return settings::refuse(diagnosis, &begun, error);
            }
            settings::accept(diagnosis, &begun);
            failed(diagnosis, &begun_start, error, stdio, &server, patient);
            return;
        }
    };
    settings::accept(diagnosis, &begun);
    let running = server.diagnostics(patient.principal).unwrap_or_default();
    let pid = running.pid.map(|pid| format!("process {pid}"));
    diagnosis.ok(&begun_start, pid.unwrap_or_default());
    diagnosis.transport = Some(server.transport());
    diagnosis.protocol = listing.server.protocol;
    let begun = Begun {
        name: "protocol",
        ..begun_start
    };
    contact::versions(diagnosis, &begun, &listing.server);
    if !running.stray_output.is_empty() {
        let begun = begin("output");
        let told = clean_line(&running.stray_output);
        let advice = "the child writes on its standard output what is no message: its logs belong on \
                      standard error";
        diagnosis.warn(&begun, told, advice);
    }
    let shared: Arc<dyn ToolServer> = Arc::clone(&server) as Arc<dyn ToolServer>;
    contact::tools(diagnosis, &shared, &config, &context()).await;
    let begun = begin("ping");
    let answered = server.ping(&context()).await;
    contact::ping(diagnosis, &begun, answered);
    server.close_all().await;
}

/// Why the first contact failed.
fn failed(
    diagnosis: &mut Diagnosis,
    begun: &Begun,
    error: Error,
    stdio: &StdioConfig,
    server: &StdioServer,
    patient: &Patient<'_>,
) {
    let cause = std::error::Error::source(&error);
    let is_missing = cause.and_then(|cause| cause.downcast_ref::<ProgramNotFound>());
    let is_missing = is_missing.is_some();
    let written = server.diagnostics(patient.principal).unwrap_or_default();
    let (name, advice) = match error.failure() {
        _ if is_missing && Path::new(&stdio.command).is_file() => {
            let advice = format!(
                "`{}` is there and is not executable: `chmod +x` it, or name the program that runs it",
                clean_line(&stdio.command)
            );
            ("start", advice)
        }
        _ if is_missing && stdio.command.contains(' ') => {
            let advice = "`command` is the program alone, and no shell splits it: move what follows it \
                          into `args`";
            ("start", advice.to_owned())
        }
        _ if is_missing => {
            let advice = format!(
                "`{}` is not installed, or not on the child's PATH: install it, or write its whole path",
                clean_line(&stdio.command)
            );
            ("start", advice)
        }
        Failure::ServerExited { stderr, .. } => ("start", exited(stderr, stdio)),
        Failure::Timeout { .. } if written.stderr.trim().is_empty() => {
            let advice = "the child runs and says nothing: is it an MCP server that speaks on standard \
                          input and output, and is it started with the right arguments?";
            ("protocol", advice.to_owned())
        }
        Failure::Timeout { .. } => {
            let mut told = clean_line(&written.stderr);
            if told.len() > 300 {
                told = told.chars().take(300).collect();
            }
            let advice = format!(
                "the child runs and does not answer; it may be waiting for something: it wrote: {told}"
            );
            ("protocol", advice)
        }
        Failure::Connect { .. } => (
            "start",
            "the program cannot be started: is it executable?".to_owned(),
        ),
        _ => (
            "protocol",
            "what the child says is not MCP: is it the right program?".to_owned(),
        ),
    };
    if name == "protocol" {
        diagnosis.ok(begun, "");
    }
    let begun = Begun { name, ..*begun };
    diagnosis.fail(&begun, error, advice);
}

fn exited(stderr: &str, stdio: &StdioConfig) -> String {
    let given = |name: &str| {
        let mut named = stdio
            .env
            .iter()
            .map(|(name, _)| name)
            .chain(&stdio.env_from);
        stdio.inherit_env || named.any(|known| known == name)
    };
    let lacking = variables::named(stderr);
    let lacking = lacking.into_iter().find(|name| !given(name));
    match lacking {
        Some(name) if std::env::var_os(name).is_some() => format!(
            "the child speaks of `{name}`, which is set here and not passed on: name it in `envFrom`"
        ),
        Some(name) => format!(
            "the child speaks of `{name}`, which it is not given: set it in `env`, or here and name it in \
             `envFrom`"
        ),
        None if stderr.trim().is_empty() => {
            "the child ended without a word: run its command by hand to see why".to_owned()
        }
        None => "the child ended by itself; what it wrote says why".to_owned(),
    }
}
