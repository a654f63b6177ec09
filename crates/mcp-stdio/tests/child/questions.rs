//! What a child asks, and who answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_core::duplex::{InputHandler, InputRequest};
use mcp_core::{BoxFuture, CallContext, Error};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::*;

/// Fills in forms, for each user with their name.
#[derive(Debug, Default)]
struct Forms(Mutex<usize>);

impl InputHandler for Forms {
    fn capabilities(&self) -> Value {
        json!({"elicitation": {"form": {}}})
    }

    fn answer<'a>(
        &'a self,
        request: InputRequest<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        *self.0.lock().unwrap() += 1;
        let slow = request.params.is_some_and(|it| it.get().contains("slow"));
        let filled = json!({"action": "accept", "content": {"name": context.principal.user()}});
        Box::pin(async move {
            if slow {
                std::future::pending::<()>().await;
            }
            Ok(serde_json::value::to_raw_value(&filled).unwrap())
        })
    }
}

#[tokio::test]
async fn questions_reach_the_handler_if_they_were_offered() {
    let forms = Arc::new(Forms::default());
    let handler: Arc<dyn InputHandler> = Arc::<Forms>::clone(&forms);
    let server = fault_child("serve").input(handler).build().unwrap();
    let alice = of("alice");
    let ask = async |method: &str, params: Value| -> Value {
        let arguments = json!({"method": method, "params": params});
        let asked = call_as(&server, &alice, "ask", arguments).await.unwrap();
        serde_json::from_str(&asked.text()).unwrap()
    };
    let filled = ask("elicitation/create", json!({"message": "Who?"})).await;
    assert_eq!(
        (&filled["id"], &filled["result"]["content"]["name"]),
        (&json!("q-1"), &json!("alice"))
    );
    for (method, params, code) in [
        ("elicitation/create", json!({"mode": "url"}), -32602),
        ("sampling/createMessage", json!({}), -32601),
        ("roots/list", json!({}), -32601),
    ] {
        assert_eq!(ask(method, params).await["error"]["code"], code, "{method}");
    }
    assert_eq!(*forms.0.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_question_that_takes_long_holds_up_no_call() {
    let handler: Arc<dyn InputHandler> = Arc::new(Forms::default());
    let server = fault_child("serve").input(handler).build().unwrap();
    let arguments = json!({"method": "elicitation/create", "params": {"message": "slow"}});
    let asking = context();
    let asking = call_as(&server, &asking, "ask", arguments);
    let others = async {
        for _ in 0..10 {
            say(&server, "echo").await;
        }
    };
    tokio::select! {
        asked = asking => panic!("{asked:?}"),
        others = tokio::time::timeout(Duration::from_secs(10), others) => others.unwrap(),
    }
}

#[tokio::test]
async fn without_a_handler_nothing_is_offered() {
    let server = serving();
    let arguments = json!({"method": "elicitation/create", "params": {}});
    let asked = call(&server, "ask", arguments).await.unwrap();
    let answer: Value = serde_json::from_str(&asked.text()).unwrap();
    assert_eq!(answer["error"]["code"], -32601);
}
