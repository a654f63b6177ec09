//! The onion as a user of it sees it.

use std::sync::Mutex;
use std::time::Duration;

use mcp_core::ErrorKind;
use serde_json::json;

use super::*;
use crate::ToolSet;
use crate::testing::echo;

/// Notes the order in which hooks run.
#[derive(Debug)]
struct Noted(&'static str, Arc<Mutex<Vec<String>>>);

impl Middleware for Noted {
    fn before_tool_call<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
    ) -> MaybeReady<'a, Result<Flow, Error>> {
        let line = format!("{} before {}", self.0, call.param_model_name());
        self.1.lock().unwrap().push(line);
        MaybeReady::ready(Ok(Flow::Continue))
    }

    fn after_tool_call<'a>(
        &'a self,
        call: &'a ToolInvocation<'_>,
        outcome: &'a mut Result<ToolOutput, Error>,
    ) -> MaybeReady<'a, ()> {
        MaybeReady::new(async move {
            tokio::task::yield_now().await;
            let attempts = call.context().report().attempts;
            let line = format!("{} after {attempts} {}", self.0, outcome.is_ok());
            self.1.lock().unwrap().push(line);
        })
    }
}

/// Runs a closure before each call.
struct Before<F>(F);

impl<F> fmt::Debug for Before<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Before")
    }
}

impl<F> Middleware for Before<F>
where
    F: Fn(&mut ToolInvocation<'_>) -> Result<Flow, Error> + Send + Sync,
{
    fn before_tool_call<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
    ) -> MaybeReady<'a, Result<Flow, Error>> {
        MaybeReady::ready((self.0)(call))
    }
}

fn before<F>(hook: F) -> Before<F>
where
    F: Fn(&mut ToolInvocation<'_>) -> Result<Flow, Error> + Send + Sync,
{
    Before(hook)
}

fn tool_of(server: &Arc<mcp_core::testing::FakeServer>, stack: &MiddlewareStack) -> AgentTool {
    let server_dyn: Arc<dyn mcp_core::ToolServer> =
        Arc::<mcp_core::testing::FakeServer>::clone(server);
    let builder = ToolSet::builder(server_dyn).middleware_stack(stack);
    let set = builder.build(server.listing()).unwrap();
    set.iter().next().unwrap()
}

#[tokio::test]
async fn the_first_is_the_outermost() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let stack = MiddlewareStack::new()
        .with(Noted("outer", Arc::clone(&log)))
        .with(Noted("inner", Arc::clone(&log)));
    let server = echo("s", &["t.x"]);
    let tool = tool_of(&server, &stack);
    assert_eq!(tool.call(()).await.unwrap().text(), "t.x({}) for local");
    assert_eq!(
        *log.lock().unwrap(),
        [
            "outer before MCP_t.x_Input",
            "inner before MCP_t.x_Input",
            "inner after 1 true",
            "outer after 1 true"
        ]
    );
    let shown = format!("{:?}", tool.middleware());
    assert!(shown.find("outer") < shown.find("inner"), "{shown}");
}

#[tokio::test]
async fn a_hook_may_change_answer_or_deny() {
    let server = echo("s", &["t"]);
    let change = before(|call: &mut ToolInvocation<'_>| {
        call.arguments_mut().insert("n".to_owned(), json!(7));
        Ok(Flow::Continue)
    });
    let tool = tool_of(&server, &MiddlewareStack::new().with(change));
    assert_eq!(
        tool.call(()).await.unwrap().text(),
        r#"t({"n":7}) for local"#
    );

    let answer = before(|_: &mut ToolInvocation<'_>| Ok(Flow::Answer("cached".into())));
    let tool = tool_of(&server, &MiddlewareStack::new().with(answer));
    assert_eq!(tool.call(()).await.unwrap().text(), "cached");

    let deny = before(|call: &mut ToolInvocation<'_>| {
        Err(call.denied_by(
            &before(|_: &mut ToolInvocation<'_>| Ok(Flow::Continue)),
            "no",
        ))
    });
    let tool = tool_of(&server, &MiddlewareStack::new().with(deny));
    let error = tool.call(()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(error.to_string(), "`t` on `s`: denied by Before: no");
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn what_a_hook_changes_is_validated() {
    let server = echo("s", &["t"]);
    let spoil = before(|call: &mut ToolInvocation<'_>| {
        call.validate()?;
        call.arguments_mut().insert("n".to_owned(), json!("x"));
        Ok(Flow::Continue)
    });
    let tool = tool_of(&server, &MiddlewareStack::new().with(spoil));
    let error = tool.call(json!({ "n": 1 })).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArguments);
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn a_panic_is_the_error_of_its_call() {
    let server = echo("s", &["t"]);
    let fragile = before(|call: &mut ToolInvocation<'_>| {
        assert!(!call.arguments().contains_key("n"), "canary-panic");
        Ok(Flow::Continue)
    });
    let log = Arc::new(Mutex::new(Vec::new()));
    let stack = MiddlewareStack::new()
        .with(Noted("outer", Arc::clone(&log)))
        .with(fragile);
    let tool = tool_of(&server, &stack);
    let (bad, good) = tokio::join!(tool.call(json!({ "n": 1 })), tool.call(()));
    let error = bad.unwrap_err();
    assert_eq!(error.to_string(), "`t` on `s`: Before panicked");
    assert!(!format!("{error:?}").contains("canary"));
    assert!(good.is_ok());
    // The layers outside it see it end.
    assert!(
        log.lock()
            .unwrap()
            .iter()
            .any(|line| line == "outer after 0 false")
    );
}

#[tokio::test]
async fn a_panic_after_the_call_does_not_deny_that_it_ran() {
    #[derive(Debug)]
    struct After;
    impl Middleware for After {
        fn after_tool_call<'a>(
            &'a self,
            _call: &'a ToolInvocation<'_>,
            _outcome: &'a mut Result<ToolOutput, Error>,
        ) -> MaybeReady<'a, ()> {
            panic!("too late")
        }
    }
    let tool = tool_of(&echo("s", &["t"]), &MiddlewareStack::new().with(After));
    let error = tool.call(()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
}

/// Calls another tool and answers with what it says.
#[derive(Debug)]
struct Calls(AgentTool);
impl Middleware for Calls {
    fn before_tool_call<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
    ) -> MaybeReady<'a, Result<Flow, Error>> {
        MaybeReady::new(async move {
            let nested = self.0.call_with(json!({ "n": 2 }), call.context()).await?;
            Ok(Flow::Answer(format!("nested {}", nested.text()).into()))
        })
    }
}

#[tokio::test]
async fn a_middleware_may_call_another_tool() {
    let server = echo("s", &["t"]);
    let plain = tool_of(&server, &MiddlewareStack::new());
    let once = tool_of(&server, &MiddlewareStack::new().with(Calls(plain)));
    let twice = tool_of(&server, &MiddlewareStack::new().with(Calls(once)));
    assert_eq!(
        twice.call(()).await.unwrap().text(),
        r#"nested nested t({"n":2}) for local"#
    );
}

#[tokio::test(start_paused = true)]
async fn the_deadline_covers_the_middleware() {
    #[derive(Debug)]
    struct Slow;
    impl Middleware for Slow {
        fn before_tool_call<'a>(
            &'a self,
            _call: &'a mut ToolInvocation<'_>,
        ) -> MaybeReady<'a, Result<Flow, Error>> {
            MaybeReady::new(async {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok(Flow::Continue)
            })
        }
    }
    let server = echo("s", &["t"]);
    let tool = tool_of(&server, &MiddlewareStack::new().with(Slow));
    assert_eq!(tool.call(()).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(server.calls(), 0);
    // A deadline of the caller's counts, also where it is later than the tool's.
    let patient = tool.context().with_timeout(Duration::from_secs(90));
    assert!(tool.call_with((), &patient).await.is_ok());
}

/// Keeps how far each call came.
#[derive(Debug)]
struct Watching(Arc<Mutex<Vec<String>>>);

impl Middleware for Watching {
    fn handle<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        Box::pin(async move {
            let course = call.course();
            let outcome = next.run(call).await;
            self.0
                .lock()
                .unwrap()
                .push(format!("{:?}", course.reached()));
            outcome
        })
    }
}

#[tokio::test]
async fn how_far_a_call_came_is_known() {
    let server = echo("s", &["t"]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let stack = MiddlewareStack::new()
        .with(Noted("between", Arc::default()))
        .with(Watching(Arc::clone(&seen)))
        .with(before(|call: &mut ToolInvocation<'_>| {
            Ok(if call.arguments().contains_key("cached") {
                Flow::Answer("cached".into())
            } else {
                Flow::Continue
            })
        }))
        .with(Noted("inner", Arc::default()));
    let tool = tool_of(&server, &stack);
    tool.call(()).await.unwrap();
    tool.call(json!({ "cached": true })).await.unwrap();
    tool.call(json!({ "n": "x" })).await.unwrap_err();
    let expected = ["Tool", r#"Middleware("Before")"#, r#"Middleware("Noted")"#];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn the_trait_is_object_safe_and_calls_can_be_spawned() {
    fn spawnable<T: Send>(_: T) {}
    let tool = tool_of(&echo("s", &["t"]), &MiddlewareStack::new());
    let not_send = std::rc::Rc::new(1);
    spawnable(tool.call(json!({ "n": *not_send })));
    let _: Option<Box<dyn Middleware>> = None;
}
