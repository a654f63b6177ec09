//! C: bodies and streams that do not end, break off or are something else.

use mcp_core::auth::Bearer;
use mcp_core::{ErrorKind, ToolServer};
use mcp_http::HttpServer;
use mcp_testbed::ClosedPort;
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::json;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{call, call_answered, context, legacy, modern, shown};

pub(crate) const JSON_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

#[tokio::test]
async fn c1_a_body_past_the_limit_is_not_read() {
    let announced = call_answered(|_, mut wire| async move {
        wire.raw(format!("{JSON_HEAD}Content-Length: 1073741824\r\n\r\n{{"))
            .await;
        wire.closed().await;
        None
    })
    .await;
    assert_eq!(announced.kind(), ErrorKind::LimitExceeded);
    assert!(
        announced.to_string().contains("`body_bytes`"),
        "{announced}"
    );

    let endless = call_answered(|_, mut wire| async move {
        wire.raw(format!("{JSON_HEAD}Connection: close\r\n\r\n["))
            .await;
        let megabyte = vec![b' '; 1 << 20];
        while wire.raw(&megabyte).await {}
        None
    })
    .await;
    assert_eq!(endless.kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn c2_an_encoding_that_nobody_asked_for_is_an_error() {
    let error = call_answered(|request, mut wire| async move {
        assert_eq!(request.header("accept-encoding"), Some("identity"));
        let headers = [
            ("Content-Type", "application/json"),
            ("Content-Encoding", "gzip"),
        ];
        wire.respond(200, &headers, "bomb").await.then_some(wire)
    })
    .await;
    assert!(shown(&error).contains("content encoding"), "{error:?}");
}

#[tokio::test]
async fn c3_an_event_or_line_without_an_end_meets_the_limit() {
    for piece in ["data: x\n", "x", ": x"] {
        let error = call_answered(move |_, mut wire| async move {
            wire.events("").await;
            let flood = piece.repeat(100_000);
            while wire.raw(&flood).await {}
            None
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{piece:?}");
        assert!(error.to_string().contains("`message_bytes`"), "{error}");
    }
}

#[tokio::test]
async fn c5_a_flood_of_notifications_meets_the_limit() {
    let error = call_answered(|_, mut wire| async move {
        wire.events("").await;
        let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {}});
        while wire.event(&note.to_string()).await {}
        None
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(
        error.to_string().contains("`messages_per_answer`"),
        "{error}"
    );
}

#[tokio::test]
async fn c6_another_content_type_is_named_and_its_body_redacted() {
    for (given, named) in [
        (Some("text/html; charset=utf-8"), "`text/html`"),
        (Some("text/plain"), "`text/plain`"),
        (None, "no content type"),
    ] {
        let server = FaultServer::start(move |request, mut wire| async move {
            let body = format!("<p>{} said test-token-canary</p>", request.rpc_method());
            let headers: Vec<_> = given.iter().map(|it| ("Content-Type", *it)).collect();
            wire.respond(200, &headers, &body).await.then_some(wire)
        })
        .await;
        let client = modern(&server)
            .credentials(Arc::new(Bearer::new("test-token-canary").unwrap()))
            .build()
            .unwrap();
        let error = call(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains(named), "{error}");
        assert!(error.to_string().contains("<p>tools/call said"), "{error}");
        assert!(!shown(&error).contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn c6_plain_json_that_claims_to_be_a_stream_is_named() {
    let error = call_answered(|request, mut wire| async move {
        wire.events("").await;
        wire.raw(request.result(&json!({})) + "\n").await;
        None
    })
    .await;
    assert!(shown(&error).contains("text/event-stream"), "{error}");
}

#[tokio::test]
async fn c7_a_stream_cut_anywhere_reads_alike() {
    let server = FaultServer::start(|request, mut wire| async move {
        let answer = request.text("zürich");
        let (first, second) = answer.split_at(answer.find("ü").unwrap() - 3);
        // JSON may be broken between any two tokens over several data lines; here, in white space.
        assert!(second.contains("zürich"), "{first}");
        let stream = format!("\u{feff}: hi\r\nevent: message\r\ndata: {answer}\r\n\r\n");
        wire.events("").await;
        for byte in stream.as_bytes().chunks(1) {
            wire.raw(byte).await;
        }
        None
    })
    .await;
    let client = modern(&server).build().unwrap();
    assert_eq!(call(&client).await.unwrap().text(), "zürich");
}

/// Answers that end too soon.
const CUT_OFF: [fn(&Request) -> String; 5] = [
    |_| String::new(),
    |_| "HTTP/1.1 200".to_owned(),
    |_| format!("{JSON_HEAD}Content-Length: 100\r\n\r\n{{\"jsonrpc\""),
    |_| format!("{JSON_HEAD}Content-Length: 18\r\n\r\n{{\"jsonrpc\":\"2.0\",\""),
    |request| {
        let answer = request.result(&json!({}));
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {answer}\n")
    },
];

#[tokio::test]
async fn c8_a_lost_answer_is_an_unknown_outcome() {
    for (index, cut) in CUT_OFF.into_iter().enumerate() {
        let error = call_answered(move |request, mut wire| async move {
            wire.raw(cut(&request)).await;
            None
        })
        .await;
        assert_eq!(
            error.kind(),
            ErrorKind::OutcomeUnknown,
            "{index}: {error:?}"
        );
        assert!(error.source().is_some(), "{index}");
    }
}

#[tokio::test]
async fn c8_a_list_whose_connection_died_is_asked_for_again() {
    let dying = Arc::new(AtomicUsize::new(0));
    let server = FaultServer::start(move |request, mut wire| {
        let died = dying.fetch_add(1, Ordering::Relaxed);
        async move {
            if died == 0 {
                return None;
            }
            wire.modern(&request).await.then_some(wire)
        }
    })
    .await;
    let client = modern(&server).build().unwrap();
    let listing = client.list_tools(&context("alice")).await.unwrap();
    assert_eq!(listing.tools.len(), 1);
}

#[tokio::test]
async fn c8_a_list_that_was_cut_off_is_asked_for_once_more() {
    for (index, cut) in CUT_OFF.into_iter().enumerate() {
        for (fails, dialect) in [
            (1, modern as fn(&FaultServer) -> _),
            (1, legacy),
            (9, modern),
        ] {
            let lists = Arc::new(AtomicUsize::new(0));
            let asked = Arc::clone(&lists);
            let server = FaultServer::start(move |request: Request, mut wire: Wire| {
                let asked = Arc::clone(&asked);
                async move {
                    let is_list = request.rpc_method() == "tools/list";
                    if is_list && asked.fetch_add(1, Ordering::SeqCst) < fails {
                        wire.raw(cut(&request)).await;
                        return None;
                    }
                    if request.header("mcp-method").is_some() {
                        wire.modern(&request).await.then_some(wire)
                    } else {
                        wire.session(&request, "s-1").await.then_some(wire)
                    }
                }
            })
            .await;
            let client = dialect(&server).build().unwrap();
            let listed = client.list_tools(&context("alice")).await;
            let kind = listed.map(|listing| listing.tools.len());
            let kind = kind.map_err(|error| error.kind());
            let expected = if fails == 1 {
                Ok(1)
            } else {
                Err(ErrorKind::Connect)
            };
            assert_eq!(kind, expected, "{index}");
            assert_eq!(lists.load(Ordering::SeqCst), 2, "{index}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_connection_error() {
    let nobody = ClosedPort::new();
    let client = HttpServer::builder(nobody.url()).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
}

#[tokio::test]
async fn c9_malformed_json_in_an_event_is_an_error() {
    let error = call_answered(|_, mut wire| async move {
        wire.events("").await;
        wire.event("{\"jsonrpc\": nonsense}").await;
        wire.closed().await;
        None
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn c10_an_acknowledgement_is_no_answer() {
    for status in [202, 204] {
        let error = call_answered(move |_, mut wire| async move {
            wire.respond(status, &[], "").await.then_some(wire)
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn c1_memory_stays_flat_against_endless_answers() {
    fn peak_kib() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|it| it.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
    let server = FaultServer::start(|request, mut wire| async move {
        let odd = request.id().as_u64().unwrap() % 2 == 1;
        let piece = vec![b'x'; 256 << 10];
        if odd {
            wire.raw(format!("{JSON_HEAD}Connection: close\r\n\r\n"))
                .await;
        } else {
            wire.events("").await;
            wire.raw("data: ").await;
        }
        for _ in 0..4096 {
            if !wire.raw(&piece).await {
                break;
            }
        }
        None
    })
    .await;
    let client = modern(&server).build().unwrap();
    let before = peak_kib();
    for _ in 0..4 {
        let error = call(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    }
    let grown = peak_kib() - before;
    assert!(grown < 64 << 10, "{grown} KiB more");
}
