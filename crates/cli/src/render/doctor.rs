//! What the doctor found, printed.

use std::fmt::Write as _;

use mcp_core::{Error, ProtocolVersion, Transport};
use serde::Serialize;

use super::document;
use super::table::table;
use crate::doctor::{Diagnosis, Step, Verdict};
use crate::failure::Failure;
use crate::latency::milliseconds;
use crate::terminal::{Look, Role, clean_line};

#[derive(Serialize)]
struct Document<'a> {
    servers: Vec<Server<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

#[derive(Serialize)]
struct Server<'a> {
    name: &'a str,
    status: &'static str,
    transport: Option<&'static str>,
    protocol_version: Option<&'static str>,
    steps: Vec<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    advice: Option<&'a str>,
}

#[derive(Serialize)]
struct Shown<'a> {
    step: &'static str,
    status: &'static str,
    duration_ms: f64,
    detail: &'a str,
}

/// The document of all servers.
pub(crate) fn json(outcome: Result<&[Diagnosis], &Error>, look: Look) -> String {
    let document_of = match outcome {
        Ok(diagnoses) => Document {
            servers: diagnoses.iter().map(server).collect(),
            status: None,
            error: None,
        },
        Err(error) => Document {
            servers: Vec::new(),
            status: Some("failed"),
            error: Some(error.into()),
        },
    };
    document(&document_of, look)
}

fn server(diagnosis: &Diagnosis) -> Server<'_> {
    Server {
        name: &diagnosis.name,
        status: status(diagnosis).as_str(),
        transport: diagnosis.transport.map(Transport::as_str),
        protocol_version: diagnosis.protocol.map(ProtocolVersion::as_str),
        steps: diagnosis
            .steps
            .iter()
            .map(|step| Shown {
                step: step.name,
                status: step.verdict.as_str(),
                duration_ms: milliseconds(step.duration),
                detail: &step.detail,
            })
            .collect(),
        error: diagnosis.error().map(Failure::from),
        advice: diagnosis.advice.as_deref(),
    }
}

fn status(diagnosis: &Diagnosis) -> Verdict {
    let any = |verdict| diagnosis.steps.iter().any(|step| step.verdict == verdict);
    match diagnosis.error() {
        Some(_) => Verdict::Failed,
        None if any(Verdict::Warning) => Verdict::Warning,
        None => Verdict::Ok,
    }
}

/// A table for each server, and what to do.
pub(crate) fn human(diagnoses: &[Diagnosis], look: Look) -> String {
    let mut text = String::new();
    if diagnoses.is_empty() {
        text.push_str("no servers\n");
    }
    for (index, diagnosis) in diagnoses.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let verdict = status(diagnosis);
        let heading = look.paint(Role::Heading, clean_line(&diagnosis.name));
        let _written = writeln!(
            text,
            "{heading}  {}",
            look.paint(role(verdict), verdict.as_str())
        );
        let mut rows = table(&["Step", "Verdict", "Time", "Detail"], look);
        for step in &diagnosis.steps {
            rows.add_row([
                step.name.to_owned(),
                step.verdict.as_str().to_owned(),
                time(step),
                clean_line(&step.detail),
            ]);
        }
        let _written = writeln!(text, "{}", rows.trim_fmt());
        let advice = diagnosis.advice.as_deref().unwrap_or_default();
        let advice = not_said_yet(advice, &diagnosis.steps);
        if !advice.is_empty() {
            let word = look.paint(role(verdict), "advice");
            let _written = writeln!(text, "{word}: {}", clean_line(advice));
        }
    }
    text
}

/// Advice stands alone in a document; below a table it need not repeat what a row says.
fn not_said_yet<'a>(advice: &'a str, steps: &[Step]) -> &'a str {
    let details = steps.iter().map(|step| step.detail.as_str());
    let mut said = details.filter(|detail| !detail.is_empty());
    let rest = said.find_map(|detail| advice.strip_suffix(detail));
    let rest = rest.map(|rest| rest.trim_end_matches([' ', ':']));
    rest.map_or(advice, |rest| rest.trim_end_matches("; and"))
}

fn time(step: &Step) -> String {
    match step.verdict {
        Verdict::Skipped => String::new(),
        _ => format!("{:.1} ms", milliseconds(step.duration)),
    }
}

fn role(verdict: Verdict) -> Role {
    match verdict {
        Verdict::Failed => Role::Failure,
        Verdict::Warning => Role::Warning,
        Verdict::Ok | Verdict::Skipped => Role::Quiet,
    }
}
