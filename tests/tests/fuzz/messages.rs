//! The JSON-RPC envelope.

use mcp_core::ToolOutput;
use mcp_core::auth::Credentials;
use mcp_core::duplex::needs_input;
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

/// Answers of tools to the request 7.
const ANSWERS: &[&[u8]] = &[
    br#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"a"}],"isError":true}}"#,
    br#" { "result" : { "resultType":"complete" , "structuredContent":{"id":7,"result":{}} } ,"id":7}"#,
    br#"{"id":7,"result":{"_meta":{},"content":null},"jsonrpc":"2.0"} "#,
];

#[test]
fn an_answer_that_is_read_in_one_look_reads_alike_in_two() {
    fuzz("answers", ANSWERS, |input, _| {
        let Some(whole) = ToolOutput::parse_answer(input, 7) else {
            return;
        };
        let Ok(Message::Response {
            id: Some(7),
            outcome: Ok(result),
        }) = Message::parse(input)
        else {
            panic!("{}", String::from_utf8_lossy(input));
        };
        let parsed = ToolOutput::parse(result).unwrap();
        assert_eq!(whole.raw(), result.get());
        assert_eq!(whole.is_error(), parsed.is_error());
        assert!(!needs_input(result).unwrap());
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
