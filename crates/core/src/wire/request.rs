//! What goes out.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{Error, ProtocolVersion, TraceContext};

/// Writes a request.
///
/// # Errors
/// [`Failure::Config`](crate::Failure) when the parameters cannot be written as JSON.
pub fn encode_request(id: u64, method: &str, params: &impl Serialize) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Request<'a, P> {
        jsonrpc: &'static str,
        id: u64,
        method: &'a str,
        params: &'a P,
    }
    encode(&Request {
        jsonrpc: "2.0",
        id,
        method,
        params,
    })
}

/// Writes a call whose metadata is written already: what [`encode_request`] makes of
/// [`CallParams`], with less ado.
///
/// # Errors
/// [`Failure::Config`](crate::Failure) when the arguments cannot be written as JSON.
pub fn encode_call(
    id: u64,
    name: &str,
    arguments: &Map<String, Value>,
    meta: &RawValue,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    append(&mut bytes, &id)?;
    bytes.extend_from_slice(br#","method":"tools/call","params":{"name":"#);
    append(&mut bytes, name)?;
    bytes.extend_from_slice(br#","arguments":"#);
    append(&mut bytes, arguments)?;
    bytes.extend_from_slice(br#","_meta":"#);
    bytes.extend_from_slice(meta.get().as_bytes());
    bytes.extend_from_slice(b"}}");
    Ok(bytes)
}

/// Writes a notification.
///
/// # Errors
/// [`Failure::Config`](crate::Failure) when the parameters cannot be written as JSON.
pub fn encode_notification(method: &str, params: &impl Serialize) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Notification<'a, P> {
        jsonrpc: &'static str,
        method: &'a str,
        params: &'a P,
    }
    encode(&Notification {
        jsonrpc: "2.0",
        method,
        params,
    })
}

/// Writes the result of a request of the server's; the id goes back as it came.
///
/// # Errors
/// [`Failure::Config`](crate::Failure) when the result cannot be written as JSON.
pub fn encode_result(id: &RawValue, result: &impl Serialize) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Response<'a, R> {
        jsonrpc: &'static str,
        id: &'a RawValue,
        result: &'a R,
    }
    encode(&Response {
        jsonrpc: "2.0",
        id,
        result,
    })
}

/// Writes the refusal of a request of the server's.
///
/// # Errors
/// None that input can cause.
pub fn encode_refusal(id: &RawValue, code: i64, message: &str) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Refusal<'a> {
        code: i64,
        message: &'a str,
    }
    #[derive(Serialize)]
    struct Response<'a> {
        jsonrpc: &'static str,
        id: &'a RawValue,
        error: Refusal<'a>,
    }
    encode(&Response {
        jsonrpc: "2.0",
        id,
        error: Refusal { code, message },
    })
}

fn encode(message: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(512);
    append(&mut bytes, message)?;
    Ok(bytes)
}

fn append(bytes: &mut Vec<u8>, part: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    serde_json::to_writer(bytes, part)
        .map_err(|error| Error::config_because("a request cannot be written as JSON", error))
}

/// The parameters of `tools/list`.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the protocol's own shape")]
pub struct ListParams<'a> {
    /// Where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<&'a str>,
    /// Metadata.
    #[serde(rename = "_meta", skip_serializing_if = "RequestMeta::is_empty")]
    pub meta: RequestMeta<'a>,
}

/// The parameters of `tools/call`.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the protocol's own shape")]
pub struct CallParams<'a> {
    /// The tool, by its name on the server.
    pub name: &'a str,
    /// Its arguments.
    pub arguments: &'a Map<String, Value>,
    /// Metadata.
    #[serde(rename = "_meta", skip_serializing_if = "RequestMeta::is_empty")]
    pub meta: RequestMeta<'a>,
}

/// `params._meta` of a request (2026-07-28, basic). Before that version only the trace and the
/// progress token are sent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the protocol's own shape")]
pub struct RequestMeta<'a> {
    /// The version that the request is written in; equals the HTTP header.
    #[serde(
        rename = "io.modelcontextprotocol/protocolVersion",
        skip_serializing_if = "Option::is_none"
    )]
    pub protocol_version: Option<&'a str>,
    /// Who the client is.
    #[serde(
        rename = "io.modelcontextprotocol/clientInfo",
        skip_serializing_if = "Option::is_none"
    )]
    pub client_info: Option<&'a ClientIdentity>,
    /// What the client can do.
    #[serde(
        rename = "io.modelcontextprotocol/clientCapabilities",
        skip_serializing_if = "Option::is_none"
    )]
    pub client_capabilities: Option<&'a Value>,
    /// Asks for progress under this token.
    #[serde(rename = "progressToken", skip_serializing_if = "Option::is_none")]
    pub progress_token: Option<u64>,
    /// W3C trace context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<&'a str>,
    /// W3C trace context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<&'a str>,
}

impl<'a> RequestMeta<'a> {
    /// What a request must carry in this version.
    pub fn new(
        version: ProtocolVersion,
        client: &'a ClientIdentity,
        capabilities: &'a Value,
        trace: Option<&'a TraceContext>,
    ) -> Self {
        let stateless = version.is_stateless();
        Self {
            protocol_version: stateless.then(|| version.as_str()),
            client_info: stateless.then_some(client),
            client_capabilities: stateless.then_some(capabilities),
            progress_token: None,
            traceparent: trace.map(|trace| trace.traceparent.as_str()),
            tracestate: trace.and_then(|trace| trace.tracestate.as_deref()),
        }
    }

    /// Asks for progress under a token.
    pub fn with_progress_token(mut self, token: u64) -> Self {
        self.progress_token = Some(token);
        self
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.protocol_version.is_none()
            && self.progress_token.is_none()
            && self.traceparent.is_none()
    }
}

/// Who the client says it is (`Implementation`).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClientIdentity {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl ClientIdentity {
    /// A client's name and version.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
        }
    }
}

impl Default for ClientIdentity {
    fn default() -> Self {
        Self::new("mcp-toolkit", env!("CARGO_PKG_VERSION"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_written_the_same_either_way() {
        let (client, none) = (ClientIdentity::default(), serde_json::json!({}));
        let meta = RequestMeta::new(ProtocolVersion::LATEST, &client, &none, None);
        let arguments = serde_json::json!({"city": "Zürich \"old\"", "days": [3, 1.5, null]});
        let params = CallParams {
            name: "a \"tool\"\n",
            arguments: arguments.as_object().unwrap(),
            meta,
        };
        let written = serde_json::value::to_raw_value(&meta).unwrap();
        assert_eq!(
            encode_call(7, params.name, params.arguments, &written).unwrap(),
            encode_request(7, "tools/call", &params).unwrap()
        );
    }

    #[test]
    fn metadata_goes_out_only_where_the_version_has_it() {
        let (client, none) = (ClientIdentity::new("c", "1"), serde_json::json!({}));
        let list = |version| {
            let meta = RequestMeta::new(version, &client, &none, None);
            let bytes = encode_request(3, "tools/list", &ListParams { cursor: None, meta });
            String::from_utf8(bytes.unwrap()).unwrap()
        };
        assert_eq!(
            list(ProtocolVersion::V2026_07_28),
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#
        );
        assert_eq!(
            list(ProtocolVersion::V2025_11_25),
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{}}"#
        );
    }
}
