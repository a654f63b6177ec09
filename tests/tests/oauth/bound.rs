//! Tokens that are bound to a key (RFC 9449).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue};
use mcp_core::auth::time::{Clock as _, SystemClock};
use mcp_testbed::fault::Request;
use serde_json::Value;

use super::*;

async fn binding() -> AuthServer {
    let server = AuthServer::start().await;
    server.bind_tokens();
    server
}

/// What was sent to the resource with a credential.
fn signed(server: &AuthServer) -> Vec<Request> {
    let mut seen = server.seen();
    seen.retain(|it| it.path == "/mcp" && it.header("authorization").is_some());
    seen
}

/// The public key in the proof that came with a request.
fn key(request: &Request) -> Value {
    let header = request.header("dpop").unwrap().split('.').next().unwrap();
    let header = URL_SAFE_NO_PAD.decode(header).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["jwk"].clone()
}

/// A `tools/list` with these headers; its status.
async fn try_with(server: &AuthServer, headers: &[(&'static str, &str)]) -> u16 {
    let url = HttpUrl::parse(&server.url()).unwrap();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let mut request = HttpRequest::post(&url, body);
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        request = request.header(HeaderName::from_static(name), value);
    }
    let response = HttpClient::new().send(request).await.unwrap();
    response.status().as_u16()
}

#[tokio::test]
async fn every_request_proves_the_key_and_nonces_are_handled_unseen() {
    let server = binding().await;
    server.demand_nonce();
    let oauth = oauth(&server).dpop(Dpop::Require).handler(Yes).build();
    let resource = resource(&server, &oauth);
    call(&resource, &alice()).await.unwrap();
    // The code is not spent by a request that lacks the nonce.
    let forms = server.forms("/token");
    assert_eq!(forms.len(), 2);
    assert_eq!(forms[0]["code"], forms[1]["code"]);

    let before = signed(&server).len();
    server.demand_nonce();
    call(&resource, &alice()).await.unwrap();
    // The list, once more with the new nonce, and the call.
    let sent = &signed(&server)[before..];
    let methods: Vec<_> = sent.iter().map(Request::rpc_method).collect();
    assert_eq!(methods, ["tools/list", "tools/list", "tools/call"]);
    for request in signed(&server) {
        let authorization = request.header("authorization").unwrap();
        assert!(authorization.starts_with("DPoP "), "{authorization}");
    }

    // The refresh token is bound as well.
    server.end_access();
    server.demand_nonce();
    call(&resource, &alice()).await.unwrap();
    let form = server.forms("/token").pop().unwrap();
    assert_eq!(form["grant_type"], "refresh_token");
    assert_eq!(server.count("/authorize"), 1);
}

#[tokio::test]
async fn a_stolen_token_is_of_no_use() {
    let server = binding().await;
    let oauth = oauth(&server).dpop(Dpop::Require).handler(Yes).build();
    let resource = resource(&server, &oauth);
    call(&resource, &alice()).await.unwrap();
    let stolen = signed(&server).pop().unwrap();
    call(&resource, &Principal::new("mallory").unwrap())
        .await
        .unwrap();
    let mallorys = signed(&server).pop().unwrap();
    assert_ne!(key(&stolen), key(&mallorys));

    let authorization = stolen.header("authorization").unwrap();
    let as_bearer = authorization.replace("DPoP ", "Bearer ");
    let used = stolen.header("dpop").unwrap();
    for headers in [
        &[("authorization", as_bearer.as_str())][..],
        &[("authorization", &as_bearer), ("dpop", used)],
        &[("authorization", authorization)],
        &[("authorization", authorization), ("dpop", used)],
        &[
            ("authorization", authorization),
            ("dpop", mallorys.header("dpop").unwrap()),
        ],
    ] {
        assert_eq!(try_with(&server, headers).await, 401, "{headers:?}");
    }
    call(&resource, &alice()).await.unwrap();
    assert_eq!(server.count("/token"), 2);
}

#[tokio::test]
async fn another_replica_signs_with_the_same_key() {
    let server = binding().await;
    let store: SharedStore = Arc::new(MemoryStore::new());
    for _ in 0..2 {
        let store = Arc::clone(&store);
        let replica = oauth(&server).dpop(Dpop::Require).store(store);
        let replica = replica.handler(Yes).build();
        call(&resource(&server, &replica), &alice()).await.unwrap();
    }
    assert_eq!(server.count("/token"), 1);
    let sent = signed(&server);
    assert_eq!(key(&sent[0]), key(sent.last().unwrap()));
}

#[tokio::test]
async fn a_program_proves_its_key_too() {
    let server = binding().await;
    server.demand_nonce();
    let oauth = oauth(&server)
        .grant(Grant::ClientCredentials)
        .client_id("known")
        .client_secret(SecretRef::literal("test-secret"))
        .dpop(Dpop::Prefer)
        .build();
    call(&resource(&server, &oauth), &alice()).await.unwrap();
    assert!(signed(&server).iter().all(|it| it.header("dpop").is_some()));
}

#[tokio::test]
async fn a_bearer_token_in_place_of_a_bound_one_is_an_error_or_preferred_away() {
    for (dpop, fine) in [(Dpop::Require, false), (Dpop::Prefer, true)] {
        let server = AuthServer::start().await;
        server.server_metadata(json!({"dpop_signing_alg_values_supported": ["ES256"]}));
        let oauth = oauth(&server).dpop(dpop).handler(Yes).build();
        let outcome = call(&resource(&server, &oauth), &alice()).await;
        assert_eq!(outcome.is_ok(), fine, "{outcome:?}");
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
        let seen = server.seen();
        let asked = seen.iter().find(|it| it.path == "/token").unwrap();
        assert!(asked.header("dpop").is_some());
        // Nothing proves possession of a key that the token is not bound to.
        assert!(signed(&server).iter().all(|it| it.header("dpop").is_none()));
    }
    let server = AuthServer::start().await;
    let oauth = oauth(&server).dpop(Dpop::Require).handler(Yes).build();
    let error = call(&resource(&server, &oauth), &alice())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

#[tokio::test]
async fn a_clock_that_is_off_by_hours_is_set_right_by_the_servers() {
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
    for off in [hour, 30 * day] {
        let server = binding().await;
        server.demand_nonce();
        let clock = ManualClock::new(SystemClock.wall() - off);
        let oauth = oauth(&server)
            .dpop(Dpop::Require)
            .clock(clock.shared())
            .handler(Yes)
            .build();
        let resource = resource(&server, &oauth);
        let called = call(&resource, &alice()).await;
        if off > day {
            // So far nobody is believed; and nobody asks for ever.
            assert!(called.is_err());
            assert!(server.count("/token") <= 3);
            continue;
        }
        called.unwrap();
        // The first proof had another time, the second no nonce.
        assert_eq!(server.count("/token"), 3);
        // The resource is at the same origin here, and needs no try of its own.
        let sent = signed(&server);
        let count = |method| sent.iter().filter(|it| it.rpc_method() == method).count();
        assert_eq!((count("tools/list"), count("tools/call")), (1, 1));
    }
}

#[tokio::test]
async fn a_clock_that_jumps_costs_one_request_and_no_token() {
    let server = binding().await;
    let clock = ManualClock::new(SystemClock.wall());
    let oauth = oauth(&server)
        .dpop(Dpop::Require)
        .clock(clock.shared())
        .handler(Yes)
        .build();
    let resource = resource(&server, &oauth);
    call(&resource, &alice()).await.unwrap();
    let before = signed(&server).len();
    // The clock of this machine jumps; the token is as good as before.
    clock.set_wall(SystemClock.wall() + Duration::from_secs(3600));
    call(&resource, &alice()).await.unwrap();
    assert_eq!(signed(&server).len(), before + 3);
    assert_eq!(server.count("/token"), 1);
}
