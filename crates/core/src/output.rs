//! What a tool answered, with nothing lost.

use std::borrow::Cow;
use std::fmt;

use rmcp::model::{CallToolResult, ContentBlock};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Error;
use crate::wire::CompleteResult;

/// The result of a call, kept as the server wrote it and read on demand.
///
/// ```
/// let output = mcp_core::ToolOutput::from("42");
/// assert_eq!(output.text(), "42");
/// assert!(!output.is_error());
/// ```
#[derive(Clone)]
pub struct ToolOutput {
    raw: Box<str>,
    is_error: bool,
}

#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(
        borrow,
        default,
        rename = "structuredContent",
        deserialize_with = "present"
    )]
    structured_content: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

/// As much of [`Parts`] as has to be looked at at once; nothing of it is kept.
#[derive(Deserialize)]
struct Shape {
    #[serde(default, rename = "content")]
    _content: Option<Vec<IgnoredAny>>,
    #[serde(default, rename = "isError")]
    is_error: Option<bool>,
}

/// One block of content.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "unknown blocks are the rare ones"
)]
#[non_exhaustive]
pub enum Content {
    /// A block of a type that is known here.
    Known(ContentBlock),
    /// A block of another type, as the server sent it.
    Unknown(Value),
}

impl ToolOutput {
    /// Reads the `result` of a `tools/call` answer.
    ///
    /// # Errors
    /// [`Failure::Protocol`](crate::Failure) when it is not an object whose `content`, where there
    /// is one, is an array.
    pub fn parse(raw: &RawValue) -> Result<Self, Error> {
        Self::from_boxed(raw.to_owned())
    }

    /// Reads a whole answer to `tools/call`, every byte once. `None` where the text is anything but a
    /// complete result for this id; [`Message`](crate::wire::Message) tells what it is then. For
    /// transports.
    pub fn parse_answer(text: &[u8], id: u64) -> Option<Self> {
        let result = CompleteResult::of_answer(text, id)?;
        Some(Self {
            raw: result.text.into(),
            is_error: result.is_error,
        })
    }

    pub(crate) fn from_boxed(raw: Box<RawValue>) -> Result<Self, Error> {
        if !raw.get().starts_with('{') {
            return Err(Error::protocol("the result is not an object"));
        }
        let shape: Shape = serde_json::from_str(raw.get())
            .map_err(|error| Error::protocol_because("the result is not a tool result", error))?;
        Ok(Self {
            is_error: shape.is_error.unwrap_or(false),
            raw: raw.into(),
        })
    }

    /// An output whose one block is text.
    pub fn from_text(text: &str) -> Self {
        Self::made(
            &serde_json::json!({ "content": [{ "type": "text", "text": text }] }),
            false,
        )
    }

    /// An output that tells the model of a failure.
    pub fn error(text: &str) -> Self {
        let block = serde_json::json!({ "type": "text", "text": text });
        Self::made(
            &serde_json::json!({ "content": [block], "isError": true }),
            true,
        )
    }

    /// An output with structured content, and the same as text for models that read only text.
    pub fn structured(value: &Value) -> Self {
        let block = serde_json::json!({ "type": "text", "text": value.to_string() });
        Self::made(
            &serde_json::json!({ "content": [block], "structuredContent": value }),
            false,
        )
    }

    fn made(result: &Value, is_error: bool) -> Self {
        // A `Value` always serialises; the fallback is the empty result.
        let raw = serde_json::value::to_raw_value(result).unwrap_or_default();
        Self {
            raw: raw.into(),
            is_error,
        }
    }

    /// Whether the tool reports failure. The output is for the model all the same.
    pub fn is_error(&self) -> bool {
        self.is_error
    }

    /// Every block of content, in order.
    pub fn content(&self) -> Vec<Content> {
        let blocks = self.parts().content.unwrap_or_default();
        let read = |block: &&RawValue| match serde_json::from_str(block.get()) {
            Ok(known) => Content::Known(known),
            Err(_) => Content::Unknown(serde_json::from_str(block.get()).unwrap_or_default()),
        };
        blocks.iter().map(read).collect()
    }

    /// Every block of content as the server wrote it.
    pub fn raw_content(&self) -> Vec<&RawValue> {
        self.parts().content.unwrap_or_default()
    }

    /// The text of all text blocks, joined by line breaks: what most callers want.
    pub fn text(&self) -> String {
        #[derive(Deserialize)]
        struct Block<'a> {
            #[serde(borrow, rename = "type")]
            kind: Cow<'a, str>,
            #[serde(borrow, default)]
            text: Option<Cow<'a, str>>,
        }
        let mut joined = String::new();
        for block in self.raw_content() {
            let Ok(block) = serde_json::from_str::<Block<'_>>(block.get()) else {
                continue;
            };
            if let Some(text) = block.text.filter(|_| block.kind == "text") {
                if !joined.is_empty() {
                    joined.push('\n');
                }
                joined.push_str(&text);
            }
        }
        joined
    }

    /// The structured content, as the server wrote it. An explicit `null` is `Some`.
    pub fn structured_content(&self) -> Option<&RawValue> {
        self.parts().structured_content
    }

    /// The structured content as a type of the caller's.
    ///
    /// # Errors
    /// [`Failure::Protocol`](crate::Failure) when there is none or it does not fit.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let structured = self
            .structured_content()
            .ok_or_else(|| Error::protocol("the result has no structured content"))?;
        serde_json::from_str(structured.get())
            .map_err(|error| Error::protocol_because("the structured content does not fit", error))
    }

    /// The result's `_meta`, as the server wrote it.
    pub fn meta(&self) -> Option<&RawValue> {
        self.parts().meta
    }

    /// The whole result, byte for byte.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The result as `rmcp`'s type. Fields that it does not know are lost.
    ///
    /// # Errors
    /// [`Failure::Protocol`](crate::Failure) when it has a block that the type cannot hold.
    pub fn to_rmcp(&self) -> Result<CallToolResult, Error> {
        serde_json::from_str(&self.raw)
            .map_err(|error| Error::protocol_because("the result does not fit the type", error))
    }

    fn parts(&self) -> Parts<'_> {
        // Checked when the output was made.
        serde_json::from_str(&self.raw).unwrap_or(Parts {
            content: None,
            structured_content: None,
            meta: None,
        })
    }
}

/// Shows sizes; what a tool answered may be anybody's secret.
impl fmt::Debug for ToolOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolOutput")
            .field("is_error", &self.is_error)
            .field("bytes", &self.raw.len())
            .finish_non_exhaustive()
    }
}

impl From<&str> for ToolOutput {
    fn from(text: &str) -> Self {
        Self::from_text(text)
    }
}

impl From<String> for ToolOutput {
    fn from(text: String) -> Self {
        Self::from_text(&text)
    }
}

impl TryFrom<CallToolResult> for ToolOutput {
    type Error = Error;

    fn try_from(result: CallToolResult) -> Result<Self, Error> {
        let raw = serde_json::value::to_raw_value(&result)
            .map_err(|error| Error::protocol_because("the result cannot be written", error))?;
        Self::from_boxed(raw)
    }
}

/// Keeps an explicit `null` apart from an absent field.
fn present<'de, D>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error>
where
    D: Deserializer<'de>,
{
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(raw: &str) -> ToolOutput {
        ToolOutput::parse(serde_json::from_str(raw).unwrap()).unwrap()
    }

    #[test]
    fn nothing_is_lost() {
        let raw = r#"{"content":[{"type":"text","text":"a","x":1},{"type":"hologram","z":[]},
            {"type":"text","text":"b"}],"structuredContent":null,"isError":true,"_meta":{"k":1},
            "own":2}"#;
        let output = output(raw);
        assert_eq!(output.raw(), raw);
        assert_eq!(output.text(), "a\nb");
        assert!(output.is_error());
        assert_eq!(output.structured_content().unwrap().get(), "null");
        assert_eq!(output.meta().unwrap().get(), r#"{"k":1}"#);
        let content = output.content();
        assert!(
            matches!(&content[0], Content::Known(ContentBlock::Text(text)) if text.text == "a")
        );
        assert_eq!(
            content[1],
            Content::Unknown(serde_json::json!({"type":"hologram","z":[]}))
        );
    }

    #[test]
    fn an_absent_field_is_not_null() {
        let output = output("{}");
        assert!(output.structured_content().is_none());
        assert!(output.content().is_empty());
        assert!(!output.is_error());
        assert!(output.decode::<i32>().is_err());
    }

    #[test]
    fn a_result_that_is_none_is_an_error() {
        for raw in ["[]", "null", r#"{"content":{}}"#, r#"{"isError":"yes"}"#] {
            assert!(
                ToolOutput::parse(serde_json::from_str(raw).unwrap()).is_err(),
                "{raw}"
            );
        }
    }

    #[test]
    fn structured_output_decodes() {
        let output = ToolOutput::structured(&serde_json::json!([1, 2]));
        assert_eq!(output.decode::<Vec<u8>>().unwrap(), [1, 2]);
        assert_eq!(output.text(), "[1,2]");
    }
}
