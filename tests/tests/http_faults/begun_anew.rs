//! E13: what a server forgets or drops before it is open, or while it is asked for what may be asked
//! twice, is begun anew, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_core::{ErrorKind, ToolServer as _};
use mcp_http::HttpServer;
use mcp_testbed::fault::{FaultServer, Request};

use crate::harness::{call, context, legacy, shown};
use crate::old_peer::{OldPeer, old};

/// A server that forgets the first `forgotten` sessions as soon as it has opened them.
async fn forgetful(forgotten: usize) -> FaultServer {
    let opened = Arc::new(AtomicUsize::new(0));
    FaultServer::start(move |request, mut wire| {
        let opened = Arc::clone(&opened);
        async move {
            let number = match request.rpc_method().as_str() {
                "initialize" => opened.fetch_add(1, Ordering::SeqCst) + 1,
                _ => opened.load(Ordering::SeqCst),
            };
            let sent = match request.rpc_method().as_str() {
                "notifications/initialized" if number <= forgotten => {
                    wire.respond(404, &[], "Session not found").await
                }
                "server/discover" => wire.respond(400, &[], "").await,
                _ => wire.session(&request, &format!("s-{number}")).await,
            };
            sent.then_some(wire)
        }
    })
    .await
}

#[tokio::test]
async fn e13_a_session_that_is_forgotten_before_it_is_open_is_begun_anew() {
    let server = forgetful(1).await;
    let client = legacy(&server).build().unwrap();
    client.list_tools(&context("alice")).await.unwrap();
    let seen = server.seen();
    let last = seen.last().unwrap();
    assert_eq!(last.header("mcp-session-id"), Some("s-2"));
    assert_eq!(server.count("initialize"), 2);
    // It is not ended: the server does not know it.
    assert!(seen.iter().all(|request| request.method != "DELETE"));
}

#[tokio::test]
async fn e13_sessions_that_are_always_forgotten_are_an_error_that_says_so() {
    let server = forgetful(usize::MAX).await;
    for client in [legacy(&server), HttpServer::builder(server.url())] {
        server.forget();
        let client = client.build().unwrap();
        let error = client.list_tools(&context("alice")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionLost, "{error:?}");
        assert_eq!(server.count("initialize"), 2);
        // It is no server of another transport either.
        assert!(server.seen().iter().all(|it| it.method != "GET"));
    }
}

/// A server of HTTP+SSE that ends the stream under the first `ended` requests of a method.
async fn ending(method: &'static str, ended: usize) -> (FaultServer, OldPeer) {
    let (peer, count) = (OldPeer::default(), Arc::new(AtomicUsize::new(0)));
    let serving = peer.clone();
    let server = FaultServer::start(move |request: Request, mut wire| {
        let (peer, count) = (serving.clone(), Arc::clone(&count));
        async move {
            if request.rpc_method() == method && count.fetch_add(1, Ordering::SeqCst) < ended {
                peer.end(&request);
                return peer.accept(&mut wire).await.then_some(wire);
            }
            peer.serve(request, wire).await
        }
    })
    .await;
    (server, peer)
}

#[tokio::test]
async fn a_stream_that_ends_under_a_list_is_a_lost_connection() {
    let (server, peer) = ending("tools/list", usize::MAX).await;
    let client = old(&server).build().unwrap();
    let error = client.list_tools(&context("alice")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    assert!(shown(&error).contains("the stream ended"), "{error:?}");
    assert_eq!((server.count("tools/list"), peer.opened()), (2, 2));
}

#[tokio::test]
async fn a_stream_that_ends_before_its_version_is_found_is_opened_anew() {
    for method in ["server/discover", "initialize"] {
        let (server, peer) = ending(method, 1).await;
        let client = old(&server).build().unwrap();
        assert_eq!(call(&client).await.unwrap().text(), "done");
        assert_eq!(peer.opened(), 2, "{method}");
    }
    let (server, peer) = ending("initialize", usize::MAX).await;
    let client = old(&server).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    assert_eq!(peer.opened(), 2);
}

#[tokio::test]
async fn a_stream_that_is_forgotten_before_it_is_open_is_opened_anew() {
    let (peer, count) = (OldPeer::default(), Arc::new(AtomicUsize::new(0)));
    let serving = peer.clone();
    let server = FaultServer::start(move |request, mut wire| {
        let (peer, count) = (serving.clone(), Arc::clone(&count));
        async move {
            let is_first = request.rpc_method() == "notifications/initialized"
                && count.fetch_add(1, Ordering::SeqCst) == 0;
            if is_first {
                return wire.respond(404, &[], "").await.then_some(wire);
            }
            peer.serve(request, wire).await
        }
    })
    .await;
    let client = old(&server).build().unwrap();
    assert_eq!(call(&client).await.unwrap().text(), "done");
    assert_eq!(peer.opened(), 2);
}
