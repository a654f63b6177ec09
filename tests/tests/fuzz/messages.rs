//! The JSON-RPC envelope.

use mcp_core::auth::Credentials;
use mcp_core::wire::{Message, encode_notification, encode_request};
use serde_json::{Value, json};

use crate::fuzz;

const CORPUS: &[&[u8]] = &[
    br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"a \"b\" \u00e9"}]}}"#,
    br#"{"jsonrpc":"2.0","id":"s","method":"ping","params":{"a":[1,2.5,null,true]}}"#,
    br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1}}"#,
    br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32021,"message":"no","data":{"requiredCapabilities":{"a":{"b":{}}}}}}"#,
    br#" {"id": null, "error": {"code": 1}} "#,
];

#[test]
fn an_envelope_is_what_its_members_say() {
    let nobody = Credentials::anonymous();
    fuzz("envelopes", CORPUS, |input, _| {
        let Ok(message) = Message::parse(input) else {
            return;
        };
        // What is handed on stands in the input, byte by byte.
        let inside = |raw: &str| memchr::memmem::find(input, raw.as_bytes()).is_some();
        match message {
            Message::Response { outcome, .. } => match outcome {
                Ok(result) => assert!(inside(result.get())),
                Err(error) => {
                    let limit = 32;
                    let error = error.into_error(|text| nobody.redact(text), limit);
                    let mcp_core::Failure::Rpc { message, .. } = error.failure() else {
                        panic!("{error:?}");
                    };
                    assert!(message.len() < 2 * limit + 64, "{message}");
                    assert!(!message.contains(char::is_control));
                }
            },
            Message::Request { id, params, .. } => {
                assert!(inside(id.get()) && params.is_none_or(|it| inside(it.get())));
            }
            Message::Notification { params, .. } => {
                assert!(params.is_none_or(|it| inside(it.get())));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn what_was_written_is_read() {
    fuzz("requests", CORPUS, |input, rng| {
        let text = String::from_utf8_lossy(input).into_owned();
        let params = json!({ &text: [text, rng.f64(), rng.u64(..)] });
        let id = rng.u64(..);
        let written = encode_request(id, &text, &params).unwrap();
        let Ok(Message::Request {
            id: read,
            method,
            params: Some(told),
        }) = Message::parse(&written)
        else {
            panic!("{}", String::from_utf8_lossy(&written));
        };
        assert_eq!((read.get(), &*method), (id.to_string().as_str(), &*text));
        assert_eq!(serde_json::from_str::<Value>(told.get()).unwrap(), params);
        let written = encode_notification(&text, &params).unwrap();
        let read = Message::parse(&written).unwrap();
        assert!(matches!(read, Message::Notification { method, .. } if method == text));
    });
}
