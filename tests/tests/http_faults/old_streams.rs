//! HTTP+SSE: streams that die and POSTs that lead nowhere.

use mcp_core::{ErrorKind, ProtocolVersion, ToolServer};
use mcp_http::{HttpServer, TransportChoice};
use mcp_testbed::fault::FaultServer;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::{Eager, call, call_within, context};
use crate::input::accepting;
use crate::old_peer::{OldPeer, old};

#[tokio::test]
async fn an_old_server_is_found_behind_any_path_and_each_post_has_its_own_token() {
    let peer = OldPeer::default();
    let server = FaultServer::start(move |request, mut wire| {
        let peer = peer.clone();
        async move {
            match (request.method.as_str(), request.path.as_str()) {
                ("POST", "/mcp") => wire.respond(404, &[], "Cannot POST").await.then_some(wire),
                _ => peer.serve(request, wire).await,
            }
        }
    })
    .await;
    let client = HttpServer::builder(server.url())
        .credentials(Arc::new(Eager::default()))
        .extension("io.example/own")
        .build()
        .unwrap();
    let listing = client.list_tools(&context("alice")).await.unwrap();
    assert_eq!(listing.server.protocol, Some(ProtocolVersion::V2024_11_05));
    assert_eq!(call(&client).await.unwrap().text(), "done");
    assert_eq!(call(&client).await.unwrap().text(), "done");
    let seen = server.seen();
    let first: Vec<_> = seen.iter().take(3).map(|it| it.method.as_str()).collect();
    assert_eq!(first, ["POST", "POST", "GET"]);
    let tokens: std::collections::HashSet<_> = seen
        .iter()
        .map(|it| it.header("authorization").unwrap())
        .collect();
    assert_eq!(tokens.len(), seen.len());
    let declaring = ["server/discover", "initialize"].map(|method| {
        let asked = seen.iter().rfind(|it| it.rpc_method() == method).unwrap();
        asked.json().to_string().contains("io.example/own")
    });
    assert_eq!(declaring, [true; 2]);

    // Only where nobody said otherwise.
    let strict = HttpServer::builder(server.url())
        .transport(TransportChoice::Http)
        .build()
        .unwrap();
    let error = strict.list_tools(&context("alice")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HttpStatus);
    assert!(error.to_string().contains("404"), "{error}");
}

#[tokio::test]
async fn a_stream_that_dies_in_a_call_leaves_its_outcome_unknown_and_is_opened_anew() {
    let (peer, calls) = (OldPeer::default(), Arc::new(AtomicUsize::new(0)));
    let server = FaultServer::start(move |request, mut wire| {
        let (peer, calls) = (peer.clone(), Arc::clone(&calls));
        async move {
            let is_call = request.rpc_method() == "tools/call";
            match if is_call {
                calls.fetch_add(1, Ordering::SeqCst)
            } else {
                9
            } {
                // The answer is lost.
                0 => {
                    peer.end(&request);
                    peer.accept(&mut wire).await.then_some(wire)
                }
                // The stream is not known: the call has not run.
                1 => wire.respond(404, &[], "").await.then_some(wire),
                _ => peer.serve(request, wire).await,
            }
        }
    })
    .await;
    let client = old(&server).build().unwrap();
    client.list_tools(&context("alice")).await.unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:?}");
    assert_eq!(call(&client).await.unwrap().text(), "done");
    let opened = server.seen().iter().filter(|it| it.method == "GET").count();
    assert_eq!(opened, 3);
    assert_eq!(server.count("tools/call"), 3);
}

#[tokio::test]
async fn a_list_that_ends_with_its_stream_is_asked_for_once_more() {
    let (peer, lists) = (OldPeer::default(), Arc::new(AtomicUsize::new(0)));
    let counts = Arc::clone(&lists);
    let server = FaultServer::start(move |request, mut wire| {
        let (peer, lists) = (peer.clone(), Arc::clone(&lists));
        async move {
            let is_list = request.rpc_method() == "tools/list";
            if is_list && lists.fetch_add(1, Ordering::SeqCst) != 1 {
                peer.end(&request);
                return peer.accept(&mut wire).await.then_some(wire);
            }
            peer.serve(request, wire).await
        }
    })
    .await;
    let client = old(&server).build().unwrap();
    let listing = client.list_tools(&context("alice")).await.unwrap();
    assert_eq!(listing.tools.len(), 1);
    assert_eq!(counts.load(Ordering::SeqCst), 2);
    // Not for ever.
    client.list_tools(&context("bob")).await.unwrap_err();
    assert_eq!(counts.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_post_that_is_never_answered_ends_with_the_deadline() {
    let peer = OldPeer::default();
    let server = FaultServer::start(move |request, mut wire| {
        let peer = peer.clone();
        async move {
            match request.rpc_method().as_str() {
                "tools/call" => {
                    wire.closed().await;
                    None
                }
                _ => peer.serve(request, wire).await,
            }
        }
    })
    .await;
    let client = old(&server).build().unwrap();
    client.list_tools(&context("alice")).await.unwrap();
    let context = context("alice").with_timeout(Duration::from_millis(200));
    let error = call_within(&client, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn what_a_server_asks_on_its_stream_reaches_the_handler() {
    let (peer, held) = (OldPeer::default(), Arc::<std::sync::Mutex<_>>::default());
    let server = FaultServer::start(move |request, mut wire| {
        let (peer, held) = (peer.clone(), Arc::clone(&held));
        async move {
            let json = request.json();
            if json["method"] == "tools/call" {
                // It goes on when its question is answered.
                *held.lock().unwrap() = Some(request.text("on"));
                let ask = json!({"jsonrpc": "2.0", "id": 5, "method": "elicitation/create",
                    "params": {"message": "on?"}});
                peer.say(&request, ask.to_string());
                return peer.accept(&mut wire).await.then_some(wire);
            }
            if json["id"] == 5 && json["result"]["action"] == "accept" {
                peer.say(&request, held.lock().unwrap().take().unwrap());
            }
            peer.serve(request, wire).await
        }
    })
    .await;
    let client = old(&server).input(accepting()).build().unwrap();
    assert_eq!(call(&client).await.unwrap().text(), "on");
}
