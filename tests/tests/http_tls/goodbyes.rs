//! HTTP/2 servers that leave while a call is under way: it is sent again only where they left it alone.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response};
use mcp_core::auth::Bearer;
use mcp_core::{Error, ErrorKind, ProtocolVersion, ToolCall, ToolDefinition, ToolServer as _};
use mcp_http::HttpServer;
use mcp_testbed::shown;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::authority::Authority;
use crate::context;

/// What an HTTP/2 server does with the first call that it sees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum First {
    /// Resets its stream: it did nothing.
    Refuses,
    /// Says goodbye and that its stream does not count: it did nothing.
    LeavesOut,
    /// Says goodbye, counts its stream, and is gone.
    Takes,
}

/// A server that answers calls, but for the first one. Gives its URL, and how many calls came.
async fn odd_at_first(
    authority: &Authority,
    first: First,
) -> (String, Arc<Mutex<u32>>, JoinSet<()>) {
    let (url, listener, acceptor) = authority.listen(&["h2"]).await;
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            connections.spawn(async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let is_first = *counted.lock().unwrap() == 0;
                if is_first && first != First::Refuses {
                    return goodbye(stream, first, &counted).await;
                }
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut answers = JoinSet::new();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let before = *counted.lock().unwrap();
                    *counted.lock().unwrap() += 1;
                    if before == 0 {
                        respond.send_reset(h2::Reason::REFUSED_STREAM);
                        continue;
                    }
                    answers.spawn(answer(request, respond));
                }
            });
        }
    });
    (url, calls, serving)
}

/// Answers a call.
async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let mut body = request.into_body();
    let mut text = Vec::new();
    while let Some(Ok(part)) = body.data().await {
        text.extend_from_slice(&part);
    }
    let asked: Value = serde_json::from_slice(&text).unwrap();
    let result = json!({"content": [{"type": "text", "text": "taken"}]});
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
    let head = Response::builder().header("content-type", "application/json");
    let mut sending = respond
        .send_response(head.body(()).unwrap(), false)
        .unwrap();
    sending
        .send_data(Bytes::from(answer.to_string()), true)
        .unwrap();
}

/// A server that takes one call at a time, and vanishes under the second one when it is told to.
async fn vanishing(
    authority: &Authority,
    called: Arc<Notify>,
    vanish: Arc<Notify>,
) -> (String, JoinSet<()>) {
    let (url, listener, acceptor) = authority.listen(&["h2"]).await;
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut is_first = true;
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = acceptor.accept(stream).await.unwrap();
            let mut builder = h2::server::Builder::new();
            let opening = builder.max_concurrent_streams(1).handshake(stream);
            let mut connection: h2::server::Connection<_, Bytes> = opening.await.unwrap();
            if std::mem::take(&mut is_first) {
                // Whoever is answered knows how many may be under way.
                let (request, respond) = connection.accept().await.unwrap().unwrap();
                let answered = tokio::spawn(answer(request, respond));
                let _held = connection.accept().await.unwrap().unwrap();
                answered.await.unwrap();
                called.notify_one();
                tokio::select! {
                    () = vanish.notified() => {}
                    _ = connection.accept() => panic!("two at a time"),
                }
                continue;
            }
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(answer(request, respond));
            }
        }
    });
    (url, serving)
}

/// Reads a call, frame by frame, and ends the connection with words that echo what it was sent.
async fn goodbye<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    first: First,
    counted: &Mutex<u32>,
) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    // SETTINGS, empty.
    stream
        .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut rest = vec![0; length.try_into().unwrap()];
        stream.read_exact(&mut rest).await.unwrap();
        // DATA that ends its stream: the call is here.
        if head[3] == 0 && head[4] & 1 == 1 {
            break;
        }
    }
    *counted.lock().unwrap() += 1;
    let last: u32 = match first {
        First::Takes => 1,
        _ => 0,
    };
    let words = b"no test-token-canary here";
    let length = u8::try_from(words.len() + 8).unwrap();
    let mut frame = vec![0, 0, length, 7, 0, 0, 0, 0, 0];
    frame.extend_from_slice(&last.to_be_bytes());
    frame.extend_from_slice(&0_u32.to_be_bytes());
    frame.extend_from_slice(words);
    stream.write_all(&frame).await.unwrap();
    let _ = stream.shutdown().await;
    // Until the client has gone too.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

async fn call_at(url: &str, authority: &Authority) -> Result<String, Error> {
    call(&client_of(url, authority)).await
}

fn client_of(url: &str, authority: &Authority) -> HttpServer {
    let token = Bearer::new("test-token-canary").unwrap();
    HttpServer::builder(url)
        .client(authority.believer())
        .credentials(Arc::new(token))
        .protocol(Some(ProtocolVersion::V2026_07_28))
        .build()
        .unwrap()
}

async fn call(server: &HttpServer) -> Result<String, Error> {
    let tool = ToolDefinition::from_parts("echo", "", &json!({"type": "object"})).unwrap();
    let arguments = serde_json::Map::new();
    let call = ToolCall::new(&tool, &arguments);
    let output = server.call_tool(call, &context()).await?;
    Ok(output.text())
}

#[tokio::test]
async fn a_call_that_the_server_left_alone_is_sent_again() {
    let authority = Authority::new();
    for first in [First::Refuses, First::LeavesOut] {
        let (url, calls, _serving) = odd_at_first(&authority, first).await;
        assert_eq!(
            call_at(&url, &authority).await.unwrap(),
            "taken",
            "{first:?}"
        );
        assert_eq!(*calls.lock().unwrap(), 2, "{first:?}");
    }
}

#[tokio::test]
async fn a_call_that_the_server_may_have_taken_is_not_and_its_goodbye_is_not_repeated() {
    let authority = Authority::new();
    let (url, calls, _serving) = odd_at_first(&authority, First::Takes).await;
    let error = call_at(&url, &authority).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(*calls.lock().unwrap(), 1);
    let shown = shown(&error);
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn a_call_that_waits_for_its_turn_on_a_connection_that_is_lost_is_sent_again() {
    let authority = Authority::new();
    let (called, vanish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let serving = vanishing(&authority, Arc::clone(&called), Arc::clone(&vanish));
    let (url, _serving) = serving.await;
    let client = client_of(&url, &authority);
    assert_eq!(call(&client).await.unwrap(), "taken");
    let vanishing = async {
        // By then the call is where it waits, and if not, it goes out anew all the more.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        vanish.notify_one();
    };
    let waiting = async {
        called.notified().await;
        tokio::join!(call(&client), vanishing).0
    };
    let (held, waiting) = tokio::join!(call(&client), waiting);
    assert_eq!(held.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(waiting.unwrap(), "taken");
}
