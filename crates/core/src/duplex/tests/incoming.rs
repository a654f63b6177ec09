//! What a server says unasked.

use super::*;

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(f64, Option<String>)>>);

impl ProgressHandler for Heard {
    fn progress(&self, update: ProgressUpdate<'_>) {
        assert!(update.progress >= 0.0, "a handler that panics");
        let message = update.message.map(ToOwned::to_owned);
        self.0.lock().unwrap().push((update.progress, message));
    }
}

fn progress(token: &Value, progress: f64) -> Value {
    json!({"method": "notifications/progress",
        "params": {"progressToken": token, "progress": progress, "message": "half"}})
}

#[tokio::test(start_paused = true)]
async fn progress_reaches_the_call_that_asked_for_it() {
    let (duplex, sent) = legacy(Settings::default(), |message| {
        let token = &message["params"]["_meta"]["progressToken"];
        if token.is_null() {
            return silence(message);
        }
        let mut told = vec![
            progress(&json!(77), 0.1),
            progress(&json!("x"), 0.1),
            progress(token, -1.0),
            progress(token, 0.5),
        ];
        told.extend(result(message, &json!({"content": []})));
        told
    });
    duplex.negotiate(&context()).await.unwrap();
    let heard = Arc::new(Heard::default());
    let handler: Arc<dyn ProgressHandler> = Arc::<Heard>::clone(&heard);
    call(&duplex, &context().with_progress(handler))
        .await
        .unwrap();
    assert_eq!(*heard.0.lock().unwrap(), [(0.5, Some("half".to_owned()))]);
    let last = sent.lock().unwrap().last().unwrap().clone();
    assert_eq!(last["params"]["_meta"]["progressToken"], last["id"]);
}

#[tokio::test(start_paused = true)]
async fn endless_progress_ends_the_call() {
    let limits = Limits {
        messages_per_answer: 10,
        ..Limits::default()
    };
    let (duplex, _) = legacy(Settings::new(limits), |message| {
        vec![progress(&message["id"], 1.0); 20]
    });
    duplex.negotiate(&context()).await.unwrap();
    let error = call(&duplex, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[tokio::test(start_paused = true)]
async fn requests_of_the_server_are_answered_where_it_may_ask() {
    let (duplex, sent) = legacy(Settings::default(), silence);
    duplex
        .deliver(br#"{"id":"early","method":"ping"}"#)
        .unwrap();
    duplex.negotiate(&context()).await.unwrap();
    duplex
        .deliver(br#"{"id":0,"method":"roots/list"}"#)
        .unwrap();
    duplex.deliver(br#"{"id":null,"method":"ping"}"#).unwrap();
    let answers: Vec<_> = sent
        .lock()
        .unwrap()
        .iter()
        .filter(|message| message["method"].is_null())
        .cloned()
        .collect();
    assert_eq!(
        answers[0],
        json!({"jsonrpc": "2.0", "id": "early", "result": {}})
    );
    assert_eq!(
        (&answers[1]["id"], &answers[1]["error"]["code"]),
        (&json!(0), &json!(-32601))
    );
    assert_eq!(answers.len(), 2);

    let (duplex, sent) = stateless(Settings::default(), silence);
    duplex.negotiate(&context()).await.unwrap();
    duplex.deliver(br#"{"id":1,"method":"ping"}"#).unwrap();
    assert_eq!(methods(&sent), ["server/discover"]);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_changes_is_one_change() {
    let (duplex, _) = legacy(Settings::default(), silence);
    let mut changes = duplex.tool_changes();
    for _ in 0..10_000 {
        duplex
            .deliver(br#"{"method":"notifications/tools/list_changed"}"#)
            .unwrap();
    }
    changes.changed().await.unwrap();
    assert_eq!(*changes.borrow_and_update(), 10_000);
    assert!(!changes.has_changed().unwrap());
}
