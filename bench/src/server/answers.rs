//! The answers, made once.

use bytes::{BufMut as _, Bytes, BytesMut};
use memchr::memmem;
use serde_json::{Value, json};

/// How many tools the long list has.
pub(crate) const LONG_LIST: usize = 500;

/// The tool that is called.
pub(crate) const TOOL: &str = "weather";

/// What follows the id in each answer.
pub(super) struct Answers {
    call: String,
    short_list: String,
    long_list: String,
    discover: String,
    initialize: String,
}

impl Answers {
    pub(super) fn new() -> Self {
        let complete = |mut result: Value| {
            result["resultType"] = json!("complete");
            result["_meta"] = json!({ "io.modelcontextprotocol/serverInfo": info() });
            format!(r#","result":{result}}}"#)
        };
        // Stale at once: who keeps lists would measure nothing.
        let list =
            |tools: Vec<Value>| json!({ "tools": tools, "ttlMs": 0, "cacheScope": "private" });
        Self {
            call: r#","result":{"resultType":"complete","content":[{"type":"text","text":"it is sunny"}]}}"#.to_owned(),
            short_list: complete(list(vec![tool(TOOL, "")])),
            long_list: complete(list(tools(LONG_LIST, ""))),
            discover: complete(json!({ "supportedVersions": ["2026-07-28", "2025-11-25"],
                "capabilities": { "tools": {} }, "ttlMs": 3_600_000, "cacheScope": "public" })),
            initialize: format!(
                r#","result":{}}}"#,
                json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
                    "serverInfo": info() })
            ),
        }
    }

    /// The body of the answer; `None` to a notification.
    pub(super) fn to(&self, path: &str, request: &[u8]) -> Option<Bytes> {
        let id = after(request, b"\"id\":")?;
        let id = id.split(|byte| matches!(byte, b',' | b'}')).next()?;
        let rest = match method(request)? {
            b"tools/call" => &self.call,
            b"tools/list" if path == "/list" => &self.long_list,
            b"tools/list" => &self.short_list,
            b"server/discover" => &self.discover,
            b"initialize" => &self.initialize,
            _ => r#","error":{"code":-32601,"message":"method not found"}}"#,
        };
        let (before, behind): (&[u8], &[u8]) = match path {
            "/sse" => (b"event: message\ndata: ", b"\n\n"),
            _ => (b"", b""),
        };
        let mut body = BytesMut::with_capacity(rest.len() + 96);
        body.put_slice(before);
        body.put_slice(br#"{"jsonrpc":"2.0","id":"#);
        body.put_slice(id);
        body.put_slice(rest.as_bytes());
        body.put_slice(behind);
        Some(body.freeze())
    }
}

/// Whether the answer names a session.
pub(super) fn opens_session(request: &[u8]) -> bool {
    method(request) == Some(b"initialize")
}

fn method(request: &[u8]) -> Option<&[u8]> {
    after(request, b"\"method\":\"")?
        .split(|byte| *byte == b'"')
        .next()
}

fn after<'t>(text: &'t [u8], key: &[u8]) -> Option<&'t [u8]> {
    text.get(memmem::find(text, key)? + key.len()..)
}

fn info() -> Value {
    json!({ "name": "bench", "version": "1.0.0" })
}

/// Tools of 778 bytes, 611 of them schema: what tools of real servers have on average. A mark
/// makes a list another tenant's.
pub(crate) fn tools(count: usize, mark: &str) -> Vec<Value> {
    (0..count)
        .map(|n| tool(&format!("search_records_{n:03}"), mark))
        .collect()
}

fn tool(name: &str, mark: &str) -> Value {
    let mut description =
        format!("Searches the records of the caller's workspace and gives the best matches{mark}.");
    description.extend(std::iter::repeat_n(
        '.',
        101_usize.saturating_sub(description.len()),
    ));
    json!({
        "name": name,
        "description": description,
        "inputSchema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["city"],
            "additionalProperties": false,
            "properties": {
                "city": { "type": "string", "minLength": 1, "description": "What to look for" },
                "days": { "type": "integer", "minimum": 1, "maximum": 100, "description": "How many at most" },
                "units": { "type": "string", "enum": ["metric", "imperial"], "description": "Which units" },
                "filters": { "type": "array", "maxItems": 16, "description": "Only what fits all of these", "items": {
                    "type": "object", "required": ["field"], "properties": {
                        "field": { "type": "string" }, "value": { "type": ["string", "number"] } } } },
            },
        },
    })
}

#[test]
fn an_answer_has_the_id_of_its_request() {
    let answers = Answers::new();
    let body = answers
        .to(
            "/json",
            br#"{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{}}"#,
        )
        .unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["id"], 17);
    assert!(
        answers
            .to("/json", br#"{"method":"notifications/initialized"}"#)
            .is_none()
    );
}

#[test]
fn a_tool_is_as_large_as_those_of_real_servers() {
    let tools = tools(3, "");
    let bytes = tools[2].to_string().len();
    assert!((740..=810).contains(&bytes), "{bytes}");
}
