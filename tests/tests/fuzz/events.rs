//! The reader of event streams, from the source of the crate that keeps it to itself.

use fastrand::Rng;
use mcp_core::ErrorKind;

use crate::fuzz;

#[expect(dead_code, reason = "the engine asks more of an event than its bytes")]
#[path = "../../../crates/mcp-http/src/sse.rs"]
mod sse;

use sse::SseDecoder;

const CORPUS: &[&[u8]] = &[
    b"data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n",
    b"\xef\xbb\xbf: hello\r\nevent: message\r\nid: e-1\r\nretry: 500\r\ndata: a\r\ndata: b\r\n\r\n",
    b"event: endpoint\rdata: /messages?sid=1\r\rid\rdata\r\r",
    "data: zürich\n\nid: \u{65e5}\n\n: keep-alive\n\ndata:\n\ndata: x".as_bytes(),
];

/// Everything that can be seen of a stream.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    events: Vec<(Vec<u8>, Vec<u8>, Option<String>)>,
    failed: Option<ErrorKind>,
    retry: Option<std::time::Duration>,
    is_amid: bool,
}

fn read<'c>(limit: usize, chunks: impl IntoIterator<Item = &'c [u8]>) -> Seen {
    let (mut decoder, mut seen) = (SseDecoder::new(limit), Seen::default());
    'chunks: for mut chunk in chunks {
        loop {
            match decoder.read(&mut chunk) {
                Ok(Some(event)) => {
                    assert!(event.data.len() <= limit && event.kind.len() <= limit);
                    let (kind, data) = (event.kind.to_vec(), event.data.to_vec());
                    let id = decoder.last_id().map(str::to_owned);
                    seen.events.push((kind, data, id));
                }
                Ok(None) => {
                    assert!(chunk.is_empty(), "a part of the chunk was left");
                    break;
                }
                Err(error) => {
                    seen.failed = Some(error.kind());
                    break 'chunks;
                }
            }
        }
    }
    seen.retry = decoder.retry();
    seen.is_amid = decoder.is_amid_event();
    // Another stream begins with nothing of this one.
    decoder.restart();
    assert!(!decoder.is_amid_event());
    seen
}

fn pieces<'i>(input: &'i [u8], rng: &mut Rng) -> Vec<&'i [u8]> {
    let mut pieces = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rng.usize(1..=rest.len().min(40)));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[test]
fn cutting_a_stream_changes_nothing() {
    fuzz("event streams", CORPUS, |input, rng| {
        let whole = read(1 << 20, [input]);
        assert_eq!(read(1 << 20, input.chunks(1)), whole);
        assert_eq!(read(1 << 20, pieces(input, rng)), whole);
        // Within narrow bounds it may end early, and then with that reason.
        let limit = rng.usize(0..64);
        let narrow = read(limit, pieces(input, rng));
        let kept = narrow.events.len();
        assert!(narrow.failed.is_some() || kept == whole.events.len());
        assert_eq!(narrow.events[..], whole.events[..kept]);
    });
}

#[test]
fn what_was_written_is_read() {
    fuzz("events", CORPUS, |input, rng| {
        // Whatever bytes: as lines of data, they come back as they are.
        let text = String::from_utf8_lossy(input).replace('\r', "\n");
        let mut stream = Vec::from(*b"event: kind\n");
        for line in text.split('\n') {
            stream.extend_from_slice(format!("data: {line}\n").as_bytes());
        }
        stream.push(b'\n');
        let seen = read(1 << 20, pieces(&stream, rng));
        let [(kind, data, _)] = &seen.events[..] else {
            panic!("{seen:?}");
        };
        assert_eq!(kind, b"kind");
        assert_eq!(data, text.as_bytes());
    });
}
