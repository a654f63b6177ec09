//! One request, as often as it has to be written.

use std::borrow::Cow;

use bytes::Bytes;
use mcp_core::duplex::{Input, MetaOver};
use mcp_core::wire::{RequestMeta, encode_call, encode_request};
use mcp_core::{Error, ToolCall};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A request before it is written for one dialect, with one id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rpc<'a> {
    pub(crate) method: &'a str,
    pub(crate) fields: Fields<'a>,
}

/// The parameters without what the dialect adds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fields<'a> {
    /// A page of a list.
    Page(Option<&'a str>),
    /// A call of a tool.
    Call(ToolCall<'a>),
    /// Anything.
    Object(&'a Map<String, Value>),
}

impl<'a> Rpc<'a> {
    pub(crate) fn call(call: ToolCall<'a>) -> Self {
        Self {
            method: "tools/call",
            fields: Fields::Call(call),
        }
    }

    pub(crate) fn object(method: &'a str, fields: &'a Map<String, Value>) -> Self {
        Self {
            method,
            fields: Fields::Object(fields),
        }
    }

    pub(crate) fn page(method: &'a str, cursor: Option<&'a str>) -> Self {
        Self {
            method,
            fields: Fields::Page(cursor),
        }
    }

    /// The tool that is called.
    pub(crate) fn tool(&self) -> Option<&'a str> {
        match self.fields {
            Fields::Call(call) => Some(call.tool.name()),
            Fields::Object(fields) if self.method == "tools/call" => fields.get("name")?.as_str(),
            _ => None,
        }
    }

    /// What `Mcp-Name` says (2026-07-28, basic/transports/streamable-http; SEP-2663 for tasks).
    pub(crate) fn name(&self) -> Option<&'a str> {
        let Fields::Object(fields) = self.fields else {
            return self.tool();
        };
        let key = match self.method {
            "tools/call" | "prompts/get" => "name",
            "resources/read" => "uri",
            "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
            _ => return None,
        };
        fields.get(key)?.as_str()
    }

    /// Whether it may be sent again although it may have been received: it changes nothing.
    pub(crate) fn is_repeatable(&self) -> bool {
        let reads = ["/list", "/get", "/read", "/discover", "/complete"];
        reads.iter().any(|end| self.method.ends_with(end)) || self.method == "ping"
    }

    /// The parameters, as a map.
    pub(crate) fn params(&self) -> Cow<'a, Map<String, Value>> {
        let one = |key: &str, value: Value| Map::from_iter([(key.to_owned(), value)]);
        Cow::Owned(match self.fields {
            Fields::Object(fields) => return Cow::Borrowed(fields),
            Fields::Page(None) => Map::new(),
            Fields::Page(Some(cursor)) => one("cursor", cursor.into()),
            Fields::Call(call) => {
                let mut params = one("name", call.tool.name().into());
                params.insert("arguments".to_owned(), call.arguments.clone().into());
                params
            }
        })
    }

    /// Whether the server may ask for input before it answers (2026-07-28, basic/patterns/mrtr).
    pub(crate) fn may_need_input(&self) -> bool {
        matches!(self.method, "tools/call" | "prompts/get" | "resources/read")
    }

    /// The request's bytes. `written` is `meta` as JSON, where somebody has it at hand.
    pub(crate) fn encode(
        &self,
        id: u64,
        input: &Input,
        meta: RequestMeta<'_>,
        written: Option<&RawValue>,
    ) -> Result<Bytes, Error> {
        if let (Fields::Call(call), Some(written), true) = (self.fields, written, input.is_empty())
        {
            let (name, arguments) = (call.tool.name(), call.arguments);
            return encode_call(id, name, arguments, written).map(Bytes::from);
        }
        let params = Params {
            fields: self.fields,
            input,
            meta,
            written,
        };
        encode_request(id, self.method, &params).map(Bytes::from)
    }
}

struct Params<'a> {
    fields: Fields<'a>,
    input: &'a Input,
    meta: RequestMeta<'a>,
    written: Option<&'a RawValue>,
}

impl Serialize for Params<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut own_meta = None;
        match self.fields {
            Fields::Page(None) => {}
            Fields::Page(Some(cursor)) => map.serialize_entry("cursor", cursor)?,
            Fields::Call(call) => {
                map.serialize_entry("name", call.tool.name())?;
                map.serialize_entry("arguments", call.arguments)?;
            }
            Fields::Object(fields) => {
                for (key, value) in fields {
                    if key == "_meta" {
                        own_meta = value.as_object();
                    } else {
                        map.serialize_entry(key, value)?;
                    }
                }
            }
        }
        if let Some(responses) = &self.input.responses {
            map.serialize_entry("inputResponses", responses)?;
        }
        if let Some(state) = &self.input.state {
            map.serialize_entry("requestState", state)?;
        }
        match own_meta {
            None if self.meta.is_empty() => {}
            None => match self.written {
                Some(written) => map.serialize_entry("_meta", written)?,
                None => map.serialize_entry("_meta", &self.meta)?,
            },
            Some(own) => map.serialize_entry("_meta", &MetaOver::new(own, self.meta))?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_core::ProtocolVersion;
    use mcp_core::wire::ClientIdentity;
    use serde_json::json;

    #[test]
    fn the_callers_metadata_is_kept() {
        let fields = json!({"uri": "file:///a", "_meta": {"own/key": 1}});
        let rpc = Rpc::object("resources/read", fields.as_object().unwrap());
        let (client, none) = (ClientIdentity::new("c", "1"), json!({}));
        let meta = RequestMeta::new(ProtocolVersion::LATEST, &client, &none, None);
        let sent = rpc.encode(1, &Input::default(), meta, None).unwrap();
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(sent["params"]["_meta"]["own/key"], 1);
        assert_eq!(
            sent["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"],
            "2026-07-28"
        );
        assert_eq!(rpc.name(), Some("file:///a"));
        assert!(rpc.is_repeatable() && rpc.tool().is_none());
    }
}
