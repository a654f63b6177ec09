//! Calls of 2026-07-28 that take several rounds, because the server wants to know something.

use mcp_core::ErrorKind;
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::json;

use crate::harness::{call, call_answered, modern, small};
use crate::input::accepting;

#[tokio::test]
async fn the_state_of_a_round_goes_back_as_it_came_and_into_no_other_call() {
    let server = FaultServer::start(|request: Request, mut wire: Wire| async move {
        let text = String::from_utf8(request.body.clone()).unwrap();
        let params = request.json()["params"].clone();
        let ask = r#""inputRequests":{"k":{"method":"elicitation/create","params":{}}}"#;
        let again = |more: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"input_required",{more}}}}}"#,
                request.id()
            )
        };
        // A state that reads alike in many ways, then none at all.
        let answer = if params["requestState"].is_string() {
            assert!(
                text.contains(r#""requestState":"\u0041\/é \u00e9""#),
                "{text}"
            );
            assert_eq!(params["inputResponses"]["k"]["action"], "accept");
            again(ask)
        } else if params["inputResponses"].is_object() {
            assert!(params.get("requestState").is_none(), "{text}");
            request.text("done")
        } else {
            again(&format!(r#"{ask},"requestState":"\u0041\/é \u00e9""#))
        };
        wire.json(&answer).await.then_some(wire)
    })
    .await;
    let client = modern(&server).input(accepting()).build().unwrap();
    let (one, two) = tokio::join!(call(&client), call(&client));
    assert_eq!(one.unwrap().text(), "done");
    assert_eq!(two.unwrap().text(), "done");
    let seen = server.seen();
    let mut ids: Vec<_> = seen.iter().map(|it| it.id().as_u64()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 6);
}

#[tokio::test]
async fn a_result_of_a_type_that_was_not_offered_is_an_error() {
    let error = call_answered(|request, mut wire| async move {
        let task = json!({"resultType": "task", "taskId": "t-1"});
        wire.json(&request.result(&task)).await.then_some(wire)
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn d5_input_is_asked_for_a_bounded_number_of_times() {
    let server = FaultServer::start(|request, mut wire| async move {
        let more = json!({"resultType": "input_required", "requestState": "again"});
        wire.json(&request.result(&more)).await.then_some(wire)
    })
    .await;
    let mut limits = small();
    limits.input_rounds = 3;
    let client = modern(&server).limits(limits).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[1].json()["params"]["requestState"], "again");
    assert_ne!(seen[0].id(), seen[1].id());

    let wants = call_answered(|request, mut wire| async move {
        let form = json!({"method": "elicitation/create", "params": {}});
        let more = json!({"resultType": "input_required", "inputRequests": {"a": form}});
        wire.json(&request.result(&more)).await.then_some(wire)
    })
    .await;
    assert!(wants.to_string().contains("elicitation/create"), "{wants}");
}
