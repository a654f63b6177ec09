//! What a server of an older version asks, and who answers.

use super::*;
use crate::Principal;

/// How long a question may stay open.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits for a word before each answer.
#[derive(Debug)]
struct Desk {
    capabilities: Value,
    open: tokio::sync::Semaphore,
    asked: Mutex<Vec<String>>,
}

impl Desk {
    fn new(capabilities: Value, open: usize) -> Arc<Self> {
        Arc::new(Self {
            capabilities,
            open: tokio::sync::Semaphore::new(open),
            asked: Mutex::default(),
        })
    }
}

impl InputHandler for Desk {
    fn capabilities(&self) -> Value {
        self.capabilities.clone()
    }

    fn answer<'a>(
        &'a self,
        request: InputRequest<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let params = request.params.map_or("", RawValue::get);
            let line = format!("{} {} {params}", context.principal, request.method);
            self.asked.lock().unwrap().push(line);
            self.open.acquire().await.unwrap().forget();
            assert!(!params.contains("panic"), "a handler that panics");
            if params.contains("refuse") {
                return Err(Error::config("canary-reason"));
            }
            Ok(RawValue::from_string(r#"{"action":"accept"}"#.to_owned()).unwrap())
        })
    }
}

async fn old(desk: &Arc<Desk>) -> (Arc<Duplex>, Sent) {
    let handler: Arc<dyn InputHandler> = Arc::<Desk>::clone(desk);
    let settings = Settings {
        input: Some(handler),
        ..Settings::default()
    };
    let (duplex, sent) = legacy(settings, |message| result(message, &json!({})));
    duplex.negotiate(&context()).await.unwrap();
    sent.lock().unwrap().clear();
    (duplex, sent)
}

fn ask(duplex: &Duplex, id: &Value, method: &str, params: &Value) {
    let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    duplex.deliver(message.to_string().as_bytes()).unwrap();
}

/// Lets everything happen that happens without a further word.
async fn settled(duplex: &Duplex) {
    let alice = Principal::new("alice").unwrap();
    let soon = Duration::from_millis(1);
    let _ = tokio::time::timeout(soon, duplex.answer_requests(&alice, LIMIT)).await;
}

fn answers(sent: &Sent) -> Vec<Value> {
    std::mem::take(&mut *sent.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_handler_is_asked_for_what_it_offered() {
    let capabilities = json!({"elicitation": {}, "sampling": {}, "roots": {}});
    let desk = Desk::new(capabilities, 100);
    let (duplex, sent) = old(&desk).await;
    ask(
        &duplex,
        &json!("a"),
        "elicitation/create",
        &json!({"message": "?"}),
    );
    ask(&duplex, &json!(2), "sampling/createMessage", &json!({}));
    ask(&duplex, &json!(3), "roots/list", &json!({}));
    ask(&duplex, &json!(4), "roots/list", &json!({"refuse": 1}));
    assert!(answers(&sent).is_empty(), "the reader does not wait");
    settled(&duplex).await;
    let mut answers = answers(&sent);
    answers.sort_by_key(|answer| answer["id"].to_string());
    let accepted = json!({"action": "accept"});
    assert_eq!(
        answers[0],
        json!({"jsonrpc": "2.0", "id": "a", "result": accepted})
    );
    assert_eq!(
        (&answers[1]["id"], &answers[1]["result"]),
        (&json!(2), &accepted)
    );
    assert_eq!(
        (&answers[2]["id"], &answers[2]["result"]),
        (&json!(3), &accepted)
    );
    assert_eq!(answers[3]["error"]["code"], -32603);
    assert!(!answers[3].to_string().contains("canary"));
    let asked = desk.asked.lock().unwrap();
    assert_eq!(asked[0], r#"alice elicitation/create {"message":"?"}"#);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_offered_is_refused_with_the_right_code() {
    let url = json!({"mode": "url", "url": "https://example.com"});
    for (capabilities, method, params, code) in [
        (json!({}), "elicitation/create", json!({}), Some(-32601)),
        (
            json!({"roots": {}}),
            "sampling/createMessage",
            json!({}),
            Some(-32601),
        ),
        (json!({"roots": {}}), "tools/list", json!({}), Some(-32601)),
        (
            json!({"elicitation": {}}),
            "elicitation/create",
            url.clone(),
            Some(-32602),
        ),
        (
            json!({"elicitation": {"form": {}}}),
            "elicitation/create",
            url.clone(),
            Some(-32602),
        ),
        (
            json!({"elicitation": {"url": {}}}),
            "elicitation/create",
            json!({}),
            Some(-32602),
        ),
        (
            json!({"elicitation": {"url": {}}}),
            "elicitation/create",
            url,
            None,
        ),
        (
            json!({"elicitation": {}}),
            "elicitation/create",
            json!({"mode": 5}),
            Some(-32602),
        ),
        (
            json!({"elicitation": {}}),
            "elicitation/create",
            json!([]),
            Some(-32602),
        ),
        (
            json!({"elicitation": {}}),
            "elicitation/create",
            json!({"mode": "form"}),
            None,
        ),
        (
            json!({"sampling": {}}),
            "sampling/createMessage",
            json!({"tools": []}),
            Some(-32602),
        ),
        (
            json!({"sampling": {"tools": {}}}),
            "sampling/createMessage",
            json!({"tools": []}),
            None,
        ),
    ] {
        let (duplex, sent) = old(&Desk::new(capabilities.clone(), 1)).await;
        ask(&duplex, &json!(7), method, &params);
        settled(&duplex).await;
        let answers = answers(&sent);
        let seen = answers[0]["error"]["code"].as_i64();
        assert_eq!(
            (answers.len(), seen),
            (1, code),
            "{capabilities} {method} {params}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn open_questions_are_bounded_and_hold_up_nobody() {
    let desk = Desk::new(json!({"roots": {}}), 0);
    let (duplex, sent) = old(&desk).await;
    for id in 0..10_000 {
        ask(&duplex, &json!(id), "roots/list", &json!({}));
    }
    let refused = answers(&sent);
    assert_eq!(refused.len(), 10_000 - 16);
    assert!(
        refused
            .iter()
            .all(|answer| answer["error"]["code"] == -32603)
    );
    // Given up with the time of a call, they make room for others.
    let principal = Principal::local();
    let asking = async {
        tokio::time::sleep(LIMIT + Duration::from_secs(1)).await;
        assert_eq!(answers(&sent).len(), 16);
        desk.open.add_permits(1);
        ask(&duplex, &json!("late"), "roots/list", &json!({}));
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    tokio::select! {
        _ = duplex.answer_requests(&principal, LIMIT) => {}
        () = asking => {}
    }
    assert!(answers(&sent)[0]["result"].is_object());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_or_panics_is_answered_for() {
    let desk = Desk::new(json!({"roots": {}}), 0);
    let (duplex, sent) = old(&desk).await;
    let principal = Principal::local();
    ask(&duplex, &json!(1), "roots/list", &json!({}));
    let limit = LIMIT * 2;
    let _ = tokio::time::timeout(limit, duplex.answer_requests(&principal, LIMIT)).await;
    assert_eq!(answers(&sent)[0]["error"]["code"], -32603);
    desk.open.add_permits(2);
    ask(&duplex, &json!(2), "roots/list", &json!({"panic": 1}));
    ask(&duplex, &json!(3), "roots/list", &json!({}));
    settled(&duplex).await;
    let answers = answers(&sent);
    assert_eq!(
        (&answers[0]["id"], &answers[0]["error"]["code"]),
        (&json!(2), &json!(-32603))
    );
    assert!(answers[1]["result"].is_object());
}

#[tokio::test(start_paused = true)]
async fn a_question_that_the_server_withdraws_is_not_answered() {
    let desk = Desk::new(json!({"roots": {}}), 0);
    let (duplex, sent) = old(&desk).await;
    let principal = Principal::local();
    let serving = duplex.answer_requests(&principal, LIMIT);
    let asking = async {
        for id in [json!("one"), json!(2)] {
            ask(&duplex, &id, "roots/list", &json!({}));
        }
        tokio::task::yield_now().await;
        duplex
            .deliver(br#"{"method":"notifications/cancelled","params":{"requestId":"one"}}"#)
            .unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        desk.open.add_permits(2);
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    tokio::select! {
        _ = serving => {}
        () = asking => {}
    }
    let answers = answers(&sent);
    assert_eq!((answers.len(), &answers[0]["id"]), (1, &json!(2)));
}
