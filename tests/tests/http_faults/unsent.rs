//! Calls that are given up while their connection is still opening: the server never heard of them,
//! so it hears of no cancellation either (2025-11-25, basic/utilities/cancellation).

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mcp_core::{BoxFuture, ToolServer as _};
use mcp_http::{HttpClient, HttpServer, HttpServerBuilder, Resolve};
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use crate::harness::{call, context};
use crate::old_peer::OldPeer;

/// Finds this machine, except when it is told to get stuck: then once, for ever.
#[derive(Debug, Default)]
struct Sticky {
    stick: AtomicBool,
    stuck: Notify,
}

impl Resolve for Sticky {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            if self.stick.swap(false, Ordering::SeqCst) {
                self.stuck.notify_one();
                std::future::pending::<()>().await;
            }
            Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
        })
    }
}

/// A server by its name, looked up by `resolver`.
fn named(server: &FaultServer, resolver: &Arc<Sticky>) -> HttpServerBuilder {
    let client = HttpClient::builder()
        .resolver(Arc::clone(resolver) as Arc<dyn Resolve>)
        .build();
    HttpServer::builder(format!("http://localhost:{}/mcp", server.port())).client(client)
}

/// What the server was called with and told to forget, in this order.
fn heard(server: &FaultServer) -> Vec<(String, Value)> {
    let seen = server.seen();
    let about = seen.iter().filter_map(|request| {
        let id = match request.rpc_method().as_str() {
            "tools/call" => request.id(),
            "notifications/cancelled" => request.json()["params"]["requestId"].clone(),
            _ => return None,
        };
        Some((request.rpc_method(), id))
    });
    about.collect()
}

/// Holds the first call until another one has got stuck on its way and was given up, then gives up
/// the first one too: the server is told of that one only.
async fn give_up_two(client: HttpServer, resolver: Arc<Sticky>, mut events: Events) {
    client.list_tools(&context("alice")).await.unwrap();
    let caller = client.clone();
    let first = tokio::spawn(async move { call(&caller).await.map(drop) });
    assert_eq!(events.recv().await.unwrap(), "tools/call");
    // Every connection is busy now.
    resolver.stick.store(true, Ordering::SeqCst);
    let caller = client.clone();
    let stuck = tokio::spawn(async move { call(&caller).await.map(drop) });
    resolver.stuck.notified().await;
    stuck.abort();
    assert!(stuck.await.unwrap_err().is_cancelled());
    first.abort();
    assert_eq!(events.recv().await.unwrap(), "notifications/cancelled");
}

type Events = mpsc::UnboundedReceiver<String>;

/// Notes calls and cancellations.
fn note(request: &Request, events: &mpsc::UnboundedSender<String>) {
    let method = request.rpc_method();
    if ["tools/call", "notifications/cancelled"].contains(&method.as_str()) {
        events.send(method).unwrap();
    }
}

/// Takes a call and says nothing to it.
async fn hold(mut wire: Wire) -> Option<Wire> {
    wire.closed().await;
    None
}

#[tokio::test]
async fn a_call_that_did_not_leave_is_not_cancelled_in_a_session() {
    let (told, events) = mpsc::unbounded_channel();
    let server = FaultServer::start(move |request, mut wire| {
        note(&request, &told);
        async move {
            match request.rpc_method().as_str() {
                "tools/call" => hold(wire).await,
                _ => wire.session(&request, "s-1").await.then_some(wire),
            }
        }
    })
    .await;
    let resolver = Arc::<Sticky>::default();
    let client = named(&server, &resolver)
        .protocol(Some(mcp_core::ProtocolVersion::V2025_11_25))
        .build()
        .unwrap();
    give_up_two(client.clone(), resolver, events).await;
    // Waits until everything was said.
    client.close(&context("alice")).await;
    let [(_, call), (cancelled, id)] = &heard(&server)[..] else {
        panic!("{:?}", heard(&server));
    };
    assert_eq!((cancelled.as_str(), id), ("notifications/cancelled", call));
}

#[tokio::test]
async fn a_call_that_did_not_leave_is_not_cancelled_over_a_stream() {
    let (told, events) = mpsc::unbounded_channel();
    let peer = OldPeer::default();
    let server = FaultServer::start(move |request, wire| {
        note(&request, &told);
        let peer = peer.clone();
        async move {
            match request.rpc_method().as_str() {
                "tools/call" => hold(wire).await,
                _ => peer.serve(request, wire).await,
            }
        }
    })
    .await;
    let resolver = Arc::<Sticky>::default();
    let client = named(&server, &resolver)
        .transport(mcp_http::TransportChoice::Sse)
        .build()
        .unwrap();
    // Cancellations go out in order: that of the stuck call would have come first.
    give_up_two(client, resolver, events).await;
    let [(_, call), (cancelled, id)] = &heard(&server)[..] else {
        panic!("{:?}", heard(&server));
    };
    assert_eq!((cancelled.as_str(), id), ("notifications/cancelled", call));
}
