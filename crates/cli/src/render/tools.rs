//! What servers offer, printed.

use std::fmt::Write;

use indexmap::IndexMap;
use mcp_adapter::{AgentTool, LoadedServer, ToolSet};
use mcp_core::{Error, ProtocolVersion, Transport};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::table::table;
use super::{document, raw};
use crate::failure::{self, Failure};
use crate::terminal::{Look, Role, clean, clean_line};
use crate::tools::ServerReport;

/// Fields of a definition that stand under a name of ours.
const RENAMED: [&str; 5] = [
    "name",
    "description",
    "inputSchema",
    "outputSchema",
    "annotations",
];

/// Our names; a server that sends a field of the same name does not replace them.
const OURS: [&str; 8] = [
    "name",
    "remote_name",
    "param_model",
    "description",
    "input_schema",
    "output_schema",
    "annotations",
    "fingerprint",
];

/// The document of all servers.
pub(crate) fn json(outcome: Result<&[ServerReport], &Error>, look: Look) -> String {
    document(&Servers(outcome), look)
}

/// The text for people.
pub(crate) fn human(reports: &[ServerReport], look: Look) -> String {
    let mut text = String::new();
    if reports.is_empty() {
        text.push_str("no servers\n");
    }
    for (index, report) in reports.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        match &report.outcome {
            Ok(tools) => loaded(&mut text, &report.name, tools, look),
            Err(error) => failed(&mut text, &report.name, error, look),
        }
    }
    text
}

fn loaded(text: &mut String, name: &str, tools: &ToolSet, look: Look) {
    let server = tools.servers().first();
    let facts = server.map(facts).unwrap_or_default();
    let heading = look.paint(Role::Heading, clean_line(name));
    let _written = writeln!(text, "{heading}  {}", look.paint(Role::Quiet, facts));
    if tools.is_empty() {
        text.push_str("no tools\n");
    } else {
        let mut rows = table(&["Tool", "Description"], look);
        for tool in tools.iter() {
            let about = tool.description().or(tool.title().as_deref()).map(summary);
            rows.add_row([tool.name().to_owned(), about.unwrap_or_default()]);
        }
        let _written = writeln!(text, "{}", rows.trim_fmt());
    }
    for (_, skipped) in tools.skipped() {
        let word = look.paint(Role::Warning, "skipped");
        let (name, reason) = (clean_line(&skipped.name), clean_line(&skipped.reason));
        let _written = writeln!(text, "{word} {name}: {reason}");
    }
}

fn failed(text: &mut String, name: &str, error: &Error, look: Look) {
    let heading = look.paint(Role::Heading, clean_line(name));
    let word = look.paint(Role::Failure, "failed");
    let message = failure::words(error);
    let _written = writeln!(
        text,
        "{heading}  {word} [{}]\n{}",
        error.kind(),
        clean(&message)
    );
}

/// `streamable-http 2026-07-28, everything 1.0`
fn facts(server: &LoadedServer) -> String {
    let info = &server.info;
    let transport = info.transport.map(Transport::as_str);
    let protocol = info.protocol.map(ProtocolVersion::as_str);
    let spoken: Vec<_> = transport.into_iter().chain(protocol).collect();
    let itself = clean_line(&format!("{} {}", info.name, info.version));
    let parts = [spoken.join(" "), itself];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}

/// The first paragraph, on one line.
fn summary(description: &str) -> String {
    let mut paragraphs = description.trim().split("\n\n");
    clean_line(paragraphs.next().unwrap_or_default())
}

struct Servers<'a>(Result<&'a [ServerReport], &'a Error>);

impl Serialize for Servers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Ok(reports) => {
                let list: Vec<_> = reports.iter().map(Server).collect();
                map.serialize_entry("servers", &list)?;
            }
            Err(error) => {
                // Readers of the list find one.
                map.serialize_entry("servers", &[(); 0])?;
                map.serialize_entry("status", "failed")?;
                map.serialize_entry("error", &Failure::from(error))?;
            }
        }
        map.end()
    }
}

struct Server<'a>(&'a ServerReport);

impl Serialize for Server<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.0.name)?;
        match &self.0.outcome {
            Ok(tools) => {
                let info = tools.server_info();
                map.serialize_entry("status", "ready")?;
                let transport = info.and_then(|info| info.transport);
                map.serialize_entry("transport", &transport.map(Transport::as_str))?;
                let protocol = info.and_then(|info| info.protocol);
                map.serialize_entry("protocol_version", &protocol.map(ProtocolVersion::as_str))?;
                let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
                let itself = info.map(|info| (said(&info.name), said(&info.version)));
                let (name, version) = itself.unwrap_or_default();
                map.serialize_entry("server", &Itself { name, version })?;
                map.serialize_entry("tools", &tools.iter().map(Tool).collect::<Vec<_>>())?;
                let skipped = tools.skipped().map(|(_, skipped)| Skipped {
                    remote_name: &skipped.name,
                    reason: &skipped.reason,
                });
                map.serialize_entry("skipped", &skipped.collect::<Vec<_>>())?;
            }
            Err(error) => {
                map.serialize_entry("status", "failed")?;
                map.serialize_entry("error", &Failure::from(error))?;
            }
        }
        map.end()
    }
}

#[derive(serde::Serialize)]
struct Itself {
    name: Option<String>,
    version: Option<String>,
}

#[derive(serde::Serialize)]
struct Skipped<'a> {
    remote_name: &'a str,
    reason: &'a str,
}

struct Tool(AgentTool);

impl Serialize for Tool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let definition = self.0.definition();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", self.0.name())?;
        map.serialize_entry("remote_name", self.0.remote_name())?;
        map.serialize_entry("param_model", self.0.param_model_name())?;
        map.serialize_entry("description", &self.0.description())?;
        map.serialize_entry("input_schema", &raw(definition.input_schema()))?;
        map.serialize_entry("output_schema", &definition.output_schema().and_then(raw))?;
        map.serialize_entry("annotations", &definition.raw_annotations().and_then(raw))?;
        map.serialize_entry("fingerprint", &definition.fingerprint())?;
        let fields: IndexMap<String, &RawValue> =
            serde_json::from_str(definition.raw()).unwrap_or_default();
        for (name, value) in fields {
            if !RENAMED.contains(&name.as_str()) && !OURS.contains(&name.as_str()) {
                map.serialize_entry(&name, value)?;
            }
        }
        map.end()
    }
}
