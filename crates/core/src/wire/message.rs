//! What comes in.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{Error, Failure};

/// One JSON-RPC message, borrowed from the bytes it came in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Message<'a> {
    /// The answer to the request with this id.
    Response {
        /// The id, if it is one that we give out; `None` for any other.
        id: Option<u64>,
        /// The result, or the error.
        outcome: Result<&'a RawValue, RpcError<'a>>,
    },
    /// A request of the server's.
    Request {
        /// Its id, to be sent back as it is.
        id: &'a RawValue,
        /// What it asks for.
        method: Cow<'a, str>,
        /// With what.
        params: Option<&'a RawValue>,
    },
    /// A notification of the server's.
    Notification {
        /// What it tells.
        method: Cow<'a, str>,
        /// With what.
        params: Option<&'a RawValue>,
    },
}

/// A JSON-RPC error as it stands on the wire.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct RpcError<'a> {
    /// The code.
    pub code: i64,
    /// The server's words. Not to be shown before [`RpcError::into_error`] has cleaned them.
    #[serde(borrow, default)]
    pub message: Cow<'a, str>,
    /// Whatever came with it.
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
}

/// Codes that have a meaning here (2026-07-28, basic and basic/versioning).
impl RpcError<'_> {
    /// The method is not known.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters are wrong.
    pub const INVALID_PARAMS: i64 = -32602;
    /// Headers and body differ.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The client lacks a capability that is needed.
    pub const MISSING_CAPABILITY: i64 = -32021;
    /// The protocol version is not supported.
    pub const UNSUPPORTED_VERSION: i64 = -32022;

    /// Whether only a server of 2026-07-28 or later says this.
    pub fn is_modern(&self) -> bool {
        matches!(
            self.code,
            Self::HEADER_MISMATCH | Self::MISSING_CAPABILITY | Self::UNSUPPORTED_VERSION
        )
    }

    /// The error for the caller, with the server's words cut, and before that redacted of what was
    /// sent, which is what `redact` does.
    pub fn into_error(
        self,
        redact: impl for<'t> Fn(&'t str) -> Cow<'t, str>,
        snippet_bytes: usize,
    ) -> Error {
        let mut message = clean(&redact(&self.message), snippet_bytes);
        if let Some(missing) = self.missing_capabilities() {
            let missing = clean(&redact(&missing), snippet_bytes);
            message.push_str("; the client would have to declare ");
            message.push_str(&missing);
        }
        Failure::Rpc {
            code: self.code,
            message,
        }
        .into()
    }
}

impl RpcError<'_> {
    /// What a server that refuses for want of it needs the client to be able to do, such as
    /// `elicitation.url`.
    fn missing_capabilities(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Data {
            #[serde(rename = "requiredCapabilities")]
            required: Map<String, Value>,
        }
        let data = self
            .data
            .filter(|_| self.code == Self::MISSING_CAPABILITY)?;
        let data: Data = serde_json::from_str(data.get()).ok()?;
        let names = data.required.iter().flat_map(|(name, within)| {
            let within = within.as_object().filter(|within| !within.is_empty());
            let parts =
                within.map(|within| within.keys().map(move |part| format!("{name}.{part}")));
            let whole = parts.is_none().then(|| name.clone());
            parts.into_iter().flatten().chain(whole)
        });
        let names: Vec<_> = names.collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    /// Reads one message.
    ///
    /// # Errors
    /// [`Failure::Protocol`] when it is not JSON or not a JSON-RPC message, when it has both a
    /// result and an error, or neither of them nor a method.
    pub fn parse(text: &'a [u8]) -> Result<Self, Error> {
        // A derived reader takes an array for a struct as well; a message is an object.
        if text.trim_ascii_start().first() != Some(&b'{') {
            return Err(Error::protocol("a message is not a JSON object"));
        }
        let envelope: Envelope<'a> = serde_json::from_slice(text)
            .map_err(|error| Error::protocol_because("a message is not JSON-RPC", error))?;
        match envelope {
            Envelope {
                method: Some(method),
                id: Some(id),
                params,
                ..
            } => Ok(Self::Request { id, method, params }),
            Envelope {
                method: Some(method),
                id: None,
                params,
                ..
            } => Ok(Self::Notification { method, params }),
            Envelope {
                result: Some(_),
                error: Some(_),
                ..
            } => Err(Error::protocol("an answer has both a result and an error")),
            Envelope {
                result: Some(result),
                id,
                ..
            } => Ok(Self::Response {
                id: own_id(id),
                outcome: Ok(result),
            }),
            Envelope {
                error: Some(error),
                id,
                ..
            } => {
                let error = serde_json::from_str(error.get())
                    .map_err(|cause| Error::protocol_because("an error is malformed", cause))?;
                Ok(Self::Response {
                    id: own_id(id),
                    outcome: Err(error),
                })
            }
            _ => Err(Error::protocol(
                "a message is neither request, notification nor answer",
            )),
        }
    }
}

/// We number requests; an id that is no plain number is not ours.
fn own_id(id: Option<&RawValue>) -> Option<u64> {
    id.and_then(|id| id.get().parse().ok())
}

/// Text of a peer as it may stand in an error: no control characters, no more than `limit` bytes.
pub fn clean(text: &str, limit: usize) -> String {
    let mut cleaned = String::new();
    for character in text.chars() {
        if cleaned.len() + character.len_utf8() > limit {
            cleaned.push('…');
            break;
        }
        cleaned.push(if character.is_control() {
            ' '
        } else {
            character
        });
    }
    cleaned
}

fn present<'de, D>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_belong_to_plain_numbers_only() {
        let id = |text: &str| match Message::parse(text.as_bytes()).unwrap() {
            Message::Response { id, .. } => id,
            other => panic!("{other:?}"),
        };
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#), Some(7));
        for foreign in [r#""7""#, "7.0", "null", "-7", "7e0", "{}"] {
            assert_eq!(
                id(&format!(r#"{{"id":{foreign},"result":null}}"#)),
                None,
                "{foreign}"
            );
        }
        assert_eq!(id(r#"{"error":{"code":-32600,"message":"x"}}"#), None);
    }

    #[test]
    fn both_or_neither_is_an_error() {
        for broken in [
            r#"{"id":1,"result":{},"error":{"code":1,"message":""}}"#,
            r#"{"id":1}"#,
            r#"{"id":1,"error":null}"#,
            "[]",
            "7",
            "",
            r#"{"id":1,"result":{}"#,
            r"[1,null,null,{}]",
        ] {
            assert!(Message::parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn deep_nesting_is_no_stack_overflow() {
        let deep = format!(
            r#"{{"id":1,"result":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        let _ = Message::parse(deep.as_bytes());
    }

    #[test]
    fn requests_and_notifications() {
        let ping = br#"{"jsonrpc":"2.0","id":"s-1","method":"ping"}"#;
        assert!(matches!(
            Message::parse(ping).unwrap(),
            Message::Request { id, method, .. } if id.get() == "\"s-1\"" && method == "ping"
        ));
        let note = br#"{"method":"notifications/progress","params":{"progress":1}}"#;
        assert!(matches!(
            Message::parse(note).unwrap(),
            Message::Notification { .. }
        ));
    }

    #[test]
    fn the_servers_words_are_cleaned() {
        let sent = crate::auth::Credentials::bearer("canary-token").unwrap();
        let words = "no: canary-token \u{1b}[31m".to_owned() + &"x".repeat(100);
        let error = RpcError {
            code: -32000,
            message: words.into(),
            data: None,
        };
        let shown = error.into_error(|text| sent.redact(text), 32).to_string();
        assert!(
            !shown.contains("canary") && !shown.contains('\u{1b}'),
            "{shown}"
        );
        assert!(shown.ends_with('…'), "{shown}");
    }
}
