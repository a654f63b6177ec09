//! A tool as its server sent it.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::OnceLock;

use rmcp::model::{Icon, ToolAnnotations};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::HeaderParams;
use crate::wire::Malformed;

/// The definition of a tool, byte for byte as its server sent it.
///
/// Schemas stay text until somebody looks inside: most users of a list never do, and parsed trees
/// cost ten times the memory. Everything else that the server sent, known here or not, is in
/// [`raw`](Self::raw).
pub struct ToolDefinition {
    raw: Box<str>,
    name: Text,
    title: Text,
    description: Text,
    input_schema: Span,
    output_schema: Option<Span>,
    annotations: Option<Span>,
    icons: Option<Span>,
    header_params: OnceLock<Box<Result<Option<HeaderParams>, InvalidDefinition>>>,
}

/// Where a part of a definition stands. Definitions are many, so they are kept small.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    /// No part ends where the text begins.
    end: NonZeroU32,
}

/// A string of a definition, if it is there. Most have no escapes and need no copy.
enum Text {
    At(Option<Span>),
    Unescaped(Box<str>),
}

#[derive(Deserialize)]
struct Known<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "inputSchema")]
    input_schema: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "outputSchema")]
    output_schema: Option<&'a RawValue>,
    #[serde(borrow, default)]
    annotations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    icons: Option<&'a RawValue>,
}

impl ToolDefinition {
    /// Reads a definition. The text is kept; schemas are not looked into.
    ///
    /// # Errors
    /// When it is not a JSON object, has no name, or has no `inputSchema` that is an object.
    pub fn parse(raw: &str) -> Result<Self, InvalidDefinition> {
        if !raw.starts_with('{') {
            return Err(InvalidDefinition::no_object());
        }
        let known: Known<'_> =
            serde_json::from_str(raw).map_err(|error| InvalidDefinition::unreadable(&error))?;
        Self::of(raw, known)
    }

    /// Reads the definition that a text begins with, and where it ends. `None` when the text does
    /// not begin with one.
    pub(crate) fn parse_first(text: &str) -> Option<(Result<Self, InvalidDefinition>, usize)> {
        if !text.starts_with('{') {
            return None;
        }
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Known<'_>>();
        let known = values.next()?.ok()?;
        let end = values.byte_offset();
        Some((Self::of(text.get(..end)?, known), end))
    }

    fn of(raw: &str, known: Known<'_>) -> Result<Self, InvalidDefinition> {
        let input_schema = known
            .input_schema
            .filter(|schema| schema.get().starts_with('{'))
            .ok_or_else(|| InvalidDefinition("`inputSchema` is not an object".to_owned()))?;
        if u32::try_from(raw.len()).is_err() {
            let problem = "the definition is longer than 4 GiB".to_owned();
            return Err(InvalidDefinition(problem));
        }
        let span = |part: &str| {
            // Both point into the same text, so the difference is where the part begins.
            let start = part.as_ptr() as usize - raw.as_ptr() as usize;
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            Span {
                start: place(start),
                end: NonZeroU32::new(place(start + part.len())).unwrap_or(NonZeroU32::MAX),
            }
        };
        let text = |part: Option<Cow<'_, str>>| match part {
            None => Text::At(None),
            Some(Cow::Borrowed(part)) => Text::At(Some(span(part))),
            Some(Cow::Owned(part)) => Text::Unescaped(part.into()),
        };
        Ok(Self {
            input_schema: span(input_schema.get()),
            output_schema: known.output_schema.map(|part| span(part.get())),
            annotations: known.annotations.map(|part| span(part.get())),
            icons: known.icons.map(|part| span(part.get())),
            name: text(Some(known.name)),
            title: text(known.title),
            description: text(known.description),
            raw: raw.into(),
            header_params: OnceLock::new(),
        })
    }

    /// The definition of a tool that is made by hand.
    ///
    /// # Errors
    /// When `input_schema` is not a JSON object.
    pub fn from_parts(
        name: &str,
        description: &str,
        input_schema: &Value,
    ) -> Result<Self, InvalidDefinition> {
        let raw = serde_json::json!({
            "name": name, "description": description, "inputSchema": input_schema,
        });
        Self::parse(&raw.to_string())
    }

    /// The name that the server knows the tool by.
    pub fn name(&self) -> &str {
        self.text(&self.name).unwrap_or_default()
    }

    /// Its name for people: `title`, else the title of its annotations.
    pub fn title(&self) -> Option<Cow<'_, str>> {
        match self.text(&self.title) {
            Some(title) => Some(Cow::Borrowed(title)),
            None => self.annotations().title.map(Cow::Owned),
        }
    }

    /// What it does, for the model.
    pub fn description(&self) -> Option<&str> {
        self.text(&self.description)
    }

    /// The JSON Schema of its arguments, as text.
    pub fn input_schema(&self) -> &str {
        self.part(self.input_schema)
    }

    /// Which arguments are mirrored in HTTP headers; `None` when none are. Read once.
    ///
    /// # Errors
    /// When an annotation is invalid: the tool must not be offered over HTTP then (2026-07-28,
    /// server/tools).
    pub fn header_params(&self) -> Result<Option<&HeaderParams>, &InvalidDefinition> {
        let read = || {
            let params = HeaderParams::parse(self.input_schema());
            Box::new(params.map(|params| (!params.is_empty()).then_some(params)))
        };
        let read = self.header_params.get_or_init(read);
        read.as_ref().as_ref().map(Option::as_ref)
    }

    /// The JSON Schema of its structured output, as text.
    pub fn output_schema(&self) -> Option<&str> {
        self.output_schema.map(|span| self.part(span))
    }

    /// Its annotations, as text.
    pub fn raw_annotations(&self) -> Option<&str> {
        self.annotations.map(|span| self.part(span))
    }

    /// Hints about what it does, all unset where the server gave none or nonsense.
    ///
    /// They are the server's claim: nothing is permitted because of them (2026-07-28,
    /// server/tools).
    pub fn annotations(&self) -> ToolAnnotations {
        let parsed = self
            .raw_annotations()
            .and_then(|text| serde_json::from_str(text).ok());
        parsed.unwrap_or_default()
    }

    /// Its icons; none where the server gave none or nonsense.
    pub fn icons(&self) -> Vec<Icon> {
        self.icons
            .and_then(|span| serde_json::from_str(self.part(span)).ok())
            .unwrap_or_default()
    }

    /// The whole definition, byte for byte.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// A digest of the definition (BLAKE3, 32 hexadecimal digits) that is the same for every
    /// process, spelling and order of keys: it changes when the meaning may have changed.
    pub fn fingerprint(&self) -> String {
        let mut canonical = String::with_capacity(self.raw.len());
        match serde_json::from_str(&self.raw) {
            Ok(value) => write_canonical(&value, &mut canonical),
            Err(_) => canonical.push_str(&self.raw),
        }
        let digest = blake3::hash(canonical.as_bytes()).to_hex();
        digest.as_str().get(..32).unwrap_or_default().to_owned()
    }

    fn text<'s>(&'s self, text: &'s Text) -> Option<&'s str> {
        match text {
            Text::At(span) => span.map(|span| self.part(span)),
            Text::Unescaped(text) => Some(text),
        }
    }

    fn part(&self, span: Span) -> &str {
        self.raw
            .get(span.start as usize..span.end.get() as usize)
            .unwrap_or_default()
    }
}

impl fmt::Debug for ToolDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolDefinition")
            .field("name", &self.name())
            .field("bytes", &self.raw.len())
            .finish_non_exhaustive()
    }
}

/// A definition that cannot be offered as a tool.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDefinition(String);

impl InvalidDefinition {
    pub(crate) fn new(problem: String) -> Self {
        Self(problem)
    }

    pub(crate) fn unreadable(error: &serde_json::Error) -> Self {
        Self(Malformed::from(error).to_string())
    }

    pub(crate) fn no_object() -> Self {
        Self("the definition is not an object".to_owned())
    }
}

/// Writes JSON with sorted keys. Depth is bounded by the parser that made the value.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: &str = r#"{"name":"echo\u0021","x-own":{"k":1},"inputSchema":
        {"type":"object","properties":{"b":{},"a":{}}},"annotations":{"readOnlyHint":true,
        "title":"Echo"},"description":"Says it again"}"#;

    #[test]
    fn parts_are_the_servers_bytes() {
        let tool = ToolDefinition::parse(ECHO).unwrap();
        assert_eq!(tool.name(), "echo!");
        assert_eq!(tool.description(), Some("Says it again"));
        assert_eq!(tool.title().as_deref(), Some("Echo"));
        assert_eq!(
            tool.input_schema(),
            r#"{"type":"object","properties":{"b":{},"a":{}}}"#
        );
        assert_eq!(tool.output_schema(), None);
        assert_eq!(tool.annotations().read_only_hint, Some(true));
        assert_eq!(tool.raw(), ECHO);
    }

    #[test]
    fn the_fingerprint_sees_meaning_not_spelling() {
        let digest = |raw| ToolDefinition::parse(raw).unwrap().fingerprint();
        let one = digest(r#"{"name":"t","inputSchema":{"type":"object","title":"x"}}"#);
        let same = digest(r#"{ "inputSchema": {"title":"x","type":"object"}, "name":"\u0074"}"#);
        let other = digest(r#"{"name":"t","inputSchema":{"type":"object","title":"y"}}"#);
        assert_eq!(one, same);
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
    }

    #[test]
    fn broken_definitions_are_refused() {
        for broken in [
            "[]",
            r#"{"name":"x"}"#,
            r#"{"name":"x","inputSchema":true}"#,
            r#"{"name":5,"inputSchema":{}}"#,
            r#"{"inputSchema":{}}"#,
        ] {
            assert!(ToolDefinition::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_broken_definition_is_not_quoted() {
        let error = ToolDefinition::parse(r#"{"name":4711,"inputSchema":{}}"#).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains("integer") && !shown.contains("4711"),
            "{shown}"
        );
    }
}
