//! What a call gave, printed.

use std::borrow::Cow;
use std::fmt::Write;

use mcp_core::{ProtocolVersion, ToolOutput};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::document;
use crate::call::CallReport;
use crate::failure::Failure;
use crate::latency::milliseconds;
use crate::terminal::{Look, clean, clean_line};

#[derive(Serialize)]
struct Document<'a> {
    server: Option<&'a str>,
    tool: Option<&'a str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    content: Option<Vec<&'a RawValue>>,
    structured_content: Option<&'a RawValue>,
    meta: Option<&'a RawValue>,
    protocol_version: Option<&'static str>,
    duration_ms: f64,
    attempts: u32,
}

/// The document of a call.
pub(crate) fn json(report: &CallReport, look: Look) -> String {
    let output = report.outcome.as_ref().ok();
    let document_of = Document {
        server: report.server.as_deref(),
        tool: report.tool.as_deref(),
        status: match &report.outcome {
            Ok(output) if output.is_error() => "tool_error",
            Ok(_) => "ok",
            Err(_) => "failed",
        },
        error: report.outcome.as_ref().err().map(Failure::from),
        content: output.map(ToolOutput::raw_content),
        structured_content: output.and_then(ToolOutput::structured_content),
        meta: output.and_then(ToolOutput::meta),
        protocol_version: report.protocol.map(ProtocolVersion::as_str),
        duration_ms: milliseconds(report.duration),
        attempts: report.attempts,
    };
    document(&document_of, look)
}

/// The text for people: texts as they are, of everything else what it is.
pub(crate) fn human(output: &ToolOutput) -> String {
    let mut text = String::new();
    for block in output.raw_content() {
        let _written = writeln!(text, "{}", shown(block));
    }
    // Structured content is for programs, and most servers repeat it as text.
    if let (true, Some(structured)) = (text.is_empty(), output.structured_content()) {
        let _written = writeln!(text, "{}", clean(structured.get()));
    }
    text
}

/// What of a block a person wants to know.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "mimeType")]
    mime_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uri: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    resource: Option<Resource<'a>>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow, default)]
    uri: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

fn shown(block: &RawValue) -> String {
    let Ok(block) = serde_json::from_str::<Block<'_>>(block.get()) else {
        return clean(block.get()).into_owned();
    };
    if let ("text", Some(text)) = (&*block.kind, &block.text) {
        return clean(text).into_owned();
    }
    let resource = block.resource.as_ref();
    let mut facts = vec![block.kind.to_string()];
    facts.extend(block.mime_type.as_deref().map(str::to_owned));
    facts.extend(block.uri.as_deref().map(str::to_owned));
    facts.extend(resource.and_then(|it| it.uri.as_deref()).map(str::to_owned));
    // Base64 has four characters for three bytes.
    facts.extend(
        block
            .data
            .as_deref()
            .map(|data| format!("{} bytes", data.len() / 4 * 3)),
    );
    let mut shown = format!("[{}]", clean_line(&facts.join(" ")));
    if let Some(text) = resource.and_then(|it| it.text.as_deref()) {
        let _written = write!(shown, "\n{}", clean(text));
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mcp_core::Error;

    use super::*;

    fn output(raw: &str) -> ToolOutput {
        ToolOutput::parse(serde_json::from_str(raw).unwrap()).unwrap()
    }

    fn report(outcome: Result<ToolOutput, Error>) -> CallReport {
        CallReport {
            server: Some("one".to_owned()),
            tool: Some("echo".to_owned()),
            outcome,
            protocol: Some(ProtocolVersion::V2026_07_28),
            duration: Duration::from_micros(1_234),
            attempts: 2,
            tools: None,
        }
    }

    #[test]
    fn a_result_stands_in_the_document_as_the_server_sent_it() {
        let sent = r#"{"content":[{"type":"text","z":1,"text":"é","a":[ 1 ]},{"type":"own"}],"structuredContent":{"z":1,"a":1.0},"_meta":{"k":null}}"#;
        assert_eq!(
            json(&report(Ok(output(sent))), Look::PLAIN),
            concat!(
                r#"{"server":"one","tool":"echo","status":"ok","#,
                r#""content":[{"type":"text","z":1,"text":"é","a":[ 1 ]},{"type":"own"}],"#,
                r#""structured_content":{"z":1,"a":1.0},"meta":{"k":null},"#,
                r#""protocol_version":"2026-07-28","duration_ms":1.234,"attempts":2}"#,
                "\n"
            )
        );
        let failed = json(
            &report(Ok(output(r#"{"content":[],"isError":true}"#))),
            Look::PLAIN,
        );
        assert!(
            failed.contains(r#""status":"tool_error","content":[],"#),
            "{failed}"
        );
    }

    #[test]
    fn a_failure_has_kind_and_message() {
        let document = json(&report(Err(Error::cancelled())), Look::PLAIN);
        assert!(
            document.contains(
                r#""status":"failed","error":{"kind":"cancelled","message":"cancelled"}"#
            ),
            "{document}"
        );
    }

    #[test]
    fn people_see_texts_and_what_else_there_is() {
        let sent = r#"{"content":[
            {"type":"text","text":"one\ntwo\u001b[2J"},
            {"type":"image","mimeType":"image/png","data":"AAAABBBB"},
            {"type":"resource_link","uri":"file:///x","name":"x"},
            {"type":"resource","resource":{"uri":"file:///y","text":"inside"}},
            {"type":"holo\u001bgram"}, 7]}"#;
        assert_eq!(
            human(&output(sent)),
            "one\ntwo[2J\n[image image/png 6 bytes]\n[resource_link file:///x]\n\
             [resource file:///y]\ninside\n[holo gram]\n7\n"
        );
        let structured = r#"{"content":[],"structuredContent":{"sum":3}}"#;
        assert_eq!(human(&output(structured)), "{\"sum\":3}\n");
    }
}
