//! Changed tools of a server that tells only who listens.

use super::*;

fn listening(script: impl Fn(&Value) -> Vec<Value> + Send + 'static) -> (Arc<Duplex>, Sent) {
    peer(
        Settings::default(),
        move |message| match message["method"].as_str() {
            Some("server/discover") => {
                let said = json!({"supportedVersions": ["2026-07-28"],
                    "capabilities": {"tools": {"listChanged": true}}});
                result(message, &said)
            }
            _ => script(message),
        },
    )
}

fn accepted(message: &Value) -> Vec<Value> {
    let meta = json!({"io.modelcontextprotocol/subscriptionId": message["id"]});
    let notifications = &message["params"]["notifications"];
    vec![
        json!({"method": "notifications/subscriptions/acknowledged",
            "params": {"notifications": notifications, "_meta": meta}}),
        json!({"method": "notifications/tools/list_changed", "params": {"_meta": meta}}),
    ]
}

#[tokio::test(start_paused = true)]
async fn changes_are_heard_while_somebody_listens() {
    let (duplex, sent) = listening(|message| match message["method"].as_str() {
        Some("subscriptions/listen") => accepted(message),
        _ => silence(message),
    });
    let mut changes = duplex.tool_changes();
    assert!(!duplex.must_listen());
    duplex.negotiate(&context()).await.unwrap();
    assert!(duplex.must_listen());
    let about = context();
    let mut heard = Box::pin(duplex.listen(&about));
    tokio::select! {
        ended = &mut heard => panic!("{ended:?}"),
        told = changes.changed() => told.unwrap(),
    }
    // It stays open, beside the requests in flight.
    assert_eq!(duplex.in_flight(), 0);
    let second = duplex.listen(&context()).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Config);
    drop(heard);
    let sent = sent.lock().unwrap();
    let [_, asked, withdrawn] = &sent[..] else {
        panic!("{sent:?}")
    };
    let params = &asked["params"];
    assert_eq!(params["notifications"], json!({"toolsListChanged": true}));
    assert!(params["_meta"]["io.modelcontextprotocol/clientCapabilities"].is_object());
    assert_eq!(withdrawn["method"], "notifications/cancelled");
    assert_eq!(withdrawn["params"]["requestId"], asked["id"]);
}

#[tokio::test(start_paused = true)]
async fn both_ways_of_ending_it_end_well() {
    for end in [
        |message: &Value| result(message, &json!({"resultType": "complete"})),
        |message: &Value| {
            let cancelled =
                |id| json!({"method": "notifications/cancelled", "params": {"requestId": id}});
            vec![cancelled(json!(99)), cancelled(message["id"].clone())]
        },
    ] {
        let (duplex, _) = listening(end);
        duplex.negotiate(&context()).await.unwrap();
        duplex.listen(&context()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_and_an_end_of_the_peer_are_told() {
    let (duplex, _) = listening(|message| error(message, -32601, &Value::Null));
    duplex.negotiate(&context()).await.unwrap();
    let refused = duplex.listen(&context()).await.unwrap_err();
    assert!(matches!(
        refused.failure(),
        Failure::Rpc { code: -32601, .. }
    ));

    let (duplex, _) = listening(silence);
    duplex.negotiate(&context()).await.unwrap();
    let about = context();
    let closing = async { duplex.close(&gone()) };
    let (listened, ()) = tokio::join!(duplex.listen(&about), closing);
    assert_eq!(listened.unwrap_err().kind(), ErrorKind::ServerExited);
}

#[tokio::test(start_paused = true)]
async fn only_servers_that_offer_it_are_listened_to() {
    let (duplex, _) = stateless(Settings::default(), silence);
    duplex.negotiate(&context()).await.unwrap();
    assert!(!duplex.must_listen());
    let (duplex, _) = legacy(Settings::default(), silence);
    duplex.negotiate(&context()).await.unwrap();
    assert!(!duplex.must_listen());
}
