//! What a tool asks back in the middle of a call.

use super::*;

#[derive(Debug)]
struct Form;

impl InputHandler for Form {
    fn capabilities(&self) -> Value {
        json!({"elicitation": {"form": {}}})
    }

    fn answer<'a>(
        &'a self,
        request: InputRequest<'a>,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        assert_eq!(request.method, "elicitation/create");
        let accepted = json!({"action": "accept", "content": {"ok": true}});
        Box::pin(async move { Ok(serde_json::value::to_raw_value(&accepted).unwrap()) })
    }
}

fn asks_once(message: &Value) -> Vec<Value> {
    if message["params"]["inputResponses"].is_object() {
        return result(message, &json!({"resultType": "complete", "content": []}));
    }
    let asked = json!({"resultType": "input_required", "requestState": "v1.\u{e9}",
        "inputRequests": {"confirm": {"method": "elicitation/create", "params": {}}}});
    result(message, &asked)
}

fn with_form() -> Settings {
    Settings {
        input: Some(Arc::new(Form)),
        ..Settings::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_asks_is_answered_and_called_again() {
    let (duplex, sent) = stateless(with_form(), asks_once);
    duplex.negotiate(&context()).await.unwrap();
    call(&duplex, &context()).await.unwrap();
    let sent = sent.lock().unwrap();
    let [_, first, second] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_ne!(first["id"], second["id"]);
    assert_eq!(second["params"]["requestState"], "v1.\u{e9}");
    assert_eq!(
        second["params"]["inputResponses"]["confirm"]["action"],
        "accept"
    );
    let offered = &first["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert!(offered["elicitation"].is_object());
}

#[tokio::test(start_paused = true)]
async fn what_was_not_offered_is_refused() {
    let (duplex, _) = stateless(Settings::default(), asks_once);
    duplex.negotiate(&context()).await.unwrap();
    let error = call(&duplex, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("elicitation/create"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn asking_for_ever_ends() {
    for endless in [
        json!({"resultType": "input_required", "requestState": "again"}),
        json!({"resultType": "input_required",
            "inputRequests": {"k": {"method": "elicitation/create"}}}),
    ] {
        let (duplex, sent) = stateless(with_form(), move |message| result(message, &endless));
        duplex.negotiate(&context()).await.unwrap();
        let error = call(&duplex, &context()).await.unwrap_err();
        assert!(error.to_string().contains("input_rounds"), "{error}");
        assert_eq!(
            sent.lock().unwrap().len(),
            1 + 1 + Limits::default().input_rounds
        );
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_kinds_of_results_are_errors() {
    let (duplex, _) = stateless(with_form(), |message| {
        result(message, &json!({"resultType": "task", "taskId": "x"}))
    });
    duplex.negotiate(&context()).await.unwrap();
    let error = call(&duplex, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}
