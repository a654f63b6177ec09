//! What a server of an older version did not offer is not asked for (2025-11-25, basic/lifecycle).

use mcp_core::{Error, Failure, ServerOffers as _};
use mcp_http::HttpServer;
use mcp_testbed::fault::FaultServer;
use serde_json::{Map, json};

use crate::harness::{context, legacy, modern};
use crate::old_peer::{OldPeer, old};

fn is_unknown<T>(outcome: Result<T, Error>) -> bool {
    let error = outcome.err().unwrap();
    matches!(error.failure(), Failure::Rpc { code: -32601, .. })
}

/// Everything that a server may offer besides tools is refused.
async fn offers_nothing(client: &HttpServer) -> bool {
    let (context, nothing) = (context("alice"), Map::new());
    is_unknown(client.list_resources(&context).await)
        && is_unknown(client.read_resource("a:1", &context).await)
        && is_unknown(client.list_prompts(&context).await)
        && is_unknown(client.request("logging/setLevel", &nothing, &context).await)
}

#[tokio::test]
async fn what_a_handshake_did_not_offer_is_not_asked_for() {
    let session = FaultServer::start(|request, mut wire| async move {
        if request.rpc_method() == "initialize" {
            let only_tools = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                "serverInfo": {"name": "plain", "version": "1"}});
            return wire
                .json(&request.result(&only_tools))
                .await
                .then_some(wire);
        }
        assert!(request.id().is_null(), "it was asked: {request:?}");
        wire.respond(202, &[], "").await.then_some(wire)
    })
    .await;
    assert!(offers_nothing(&legacy(&session).build().unwrap()).await);

    let peer = OldPeer::default();
    let stream = FaultServer::start(move |request, wire| {
        let peer = peer.clone();
        async move { peer.serve(request, wire).await }
    })
    .await;
    assert!(offers_nothing(&old(&stream).build().unwrap()).await);
    for method in ["resources/list", "resources/read", "prompts/list"] {
        assert_eq!(session.count(method) + stream.count(method), 0);
    }
}

#[tokio::test]
async fn a_stateless_server_says_itself_what_it_does_not_know() {
    let server = FaultServer::start(|request, mut wire| async move {
        let unknown = request.error(-32601, "Method not found");
        wire.json(&unknown).await.then_some(wire)
    })
    .await;
    let client = modern(&server).build().unwrap();
    assert!(is_unknown(client.list_prompts(&context("alice")).await));
    assert_eq!(server.seen().len(), 1);
}
