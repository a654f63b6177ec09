//! HTTP/2: one connection for everybody, from the first moment to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Response, Version};
use mcp_http::{HttpClient, HttpRequest, HttpUrl, SendError};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use crate::authority::Authority;
use crate::server::TlsServer;
use crate::{PATIENCE, server};

/// Sends a request, and does not wait for ever.
async fn post(client: HttpClient, url: HttpUrl) -> Result<(), SendError> {
    let request = HttpRequest::post(&url, server::ASKED);
    let sent = tokio::time::timeout(PATIENCE, client.send(request));
    sent.await.unwrap().map(drop)
}

/// Sends as many at once.
async fn all(client: &HttpClient, url: &str, count: usize) -> Vec<Result<(), SendError>> {
    let url = HttpUrl::parse(url).unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..count {
        callers.spawn(post(client.clone(), url.clone()));
    }
    callers.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_come_at_once_open_one_connection() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.issue("localhost", |_| {}), None).await;
    let sent = all(&authority.believer(), &server.url, 50).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    let versions = server.versions.lock().unwrap();
    assert!(versions.iter().all(|version| *version == Version::HTTP_2));
    assert_eq!(*server.opened.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_dial_that_hangs_does_not_hold_up_others_for_long() {
    let authority = Authority::new();
    let (url, listener, acceptor) = authority.listen(&["http/1.1"]).await;
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        // The first one never gets an answer to its handshake.
        let _silent = listener.accept().await.unwrap();
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            });
        }
    });
    let client = authority.believer();
    let url = HttpUrl::parse(&url).unwrap();
    let first = tokio::spawn(post(client.clone(), url.clone()));
    tokio::task::yield_now().await;
    post(client, url).await.unwrap();
    assert!(!first.is_finished());
    first.abort();
}

/// Serves 100 streams at once; of its first connection, one and then 100 more, after which it says
/// goodbye. Gives its URL and how many requests came.
async fn goodbye_after_a_hundred(authority: &Authority) -> (String, Arc<AtomicUsize>, JoinSet<()>) {
    let (url, listener, acceptor) = authority.listen(&["h2"]).await;
    let came = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&came);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let is_first = connections.is_empty();
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            connections.spawn(async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let mut builder = h2::server::Builder::new();
                let opening = builder.max_concurrent_streams(100).handshake(stream);
                let mut connection: h2::server::Connection<_, Bytes> = opening.await.unwrap();
                let (mut held, mut here) = (Vec::new(), 0);
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    counted.fetch_add(1, Ordering::SeqCst);
                    here += 1;
                    if !is_first || here == 1 {
                        let _ = respond.send_response(Response::new(()), true);
                        continue;
                    }
                    held.push(respond);
                    if held.len() == 100 {
                        connection.graceful_shutdown();
                        for mut respond in held.drain(..) {
                            let _ = respond.send_response(Response::new(()), true);
                        }
                    }
                }
            });
        }
    });
    (url, came, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_goodbye_left_waiting_goes_out_on_another_connection() {
    let authority = Authority::new();
    let (url, came, _serving) = goodbye_after_a_hundred(&authority).await;
    let client = authority.believer();
    assert!(all(&client, &url, 1).await.iter().all(Result::is_ok));
    let sent = all(&client, &url, 300).await;
    let failed: Vec<&SendError> = sent.iter().filter_map(|sent| sent.as_ref().err()).collect();
    // What the server says that it left alone is known as that, and whoever asked may ask again.
    let (left_alone, unknown): (Vec<_>, Vec<_>) =
        failed.into_iter().partition(|error| error.is_unprocessed());
    // Of those that were under way it may not be known. What never left goes out by itself.
    assert!(
        unknown.iter().all(|error| error.maybe_received()),
        "{unknown:?}"
    );
    let came = came.load(Ordering::SeqCst);
    assert!(came + left_alone.len() + unknown.len() >= 301, "{came}");
}
