//! The protocol's headers and how values get into them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use mcp_core::{Error, ProtocolVersion};

pub(crate) static MCP_PROTOCOL_VERSION: HeaderName =
    HeaderName::from_static("mcp-protocol-version");
pub(crate) static MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(crate) static MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
pub(crate) static MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(crate) static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(crate) static JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) static EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
pub(crate) static EITHER: HeaderValue =
    HeaderValue::from_static("application/json, text/event-stream");

/// The version as a header says it.
pub(crate) fn version(version: ProtocolVersion) -> HeaderValue {
    HeaderValue::from_static(version.as_str())
}

/// The method as a header says it.
pub(crate) fn method(method: &str) -> Result<HeaderValue, Error> {
    Ok(match method {
        "tools/call" => HeaderValue::from_static("tools/call"),
        "tools/list" => HeaderValue::from_static("tools/list"),
        "server/discover" => HeaderValue::from_static("server/discover"),
        other => HeaderValue::from_str(other)
            .map_err(|error| Error::config_because("the method cannot be sent", error))?,
    })
}

/// Any text as a header value: as it is where that is safe, in its base64 form otherwise
/// (2026-07-28, basic/transports/streamable-http).
pub(crate) fn text(value: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(&encoded(value))
        .map_err(|error| Error::config_because("a value cannot be sent in a header", error))
}

fn encoded(value: &str) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    // Tabs within are legal in HTTP, yet receivers differ on them.
    let safe = bytes.iter().all(|byte| (0x20..0x7f).contains(byte))
        && bytes.first() != Some(&b' ')
        && bytes.last() != Some(&b' ')
        && !(value.starts_with("=?base64?") && value.ends_with("?="));
    if safe {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(format!("=?base64?{}?=", STANDARD.encode(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_values_take_the_base64_form() {
        for (value, sent) in [
            ("us-west1", "us-west1"),
            ("us west 1", "us west 1"),
            ("", ""),
            (" us-west1", "=?base64?IHVzLXdlc3Qx?="),
            ("日本語", "=?base64?5pel5pys6Kqe?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("a\tb", "=?base64?YQli?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ] {
            assert_eq!(encoded(value), sent);
            assert!(text(value).is_ok());
        }
    }
}
