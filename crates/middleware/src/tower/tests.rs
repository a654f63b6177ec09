//! Layers of `tower` itself around calls.

use std::time::Duration;

use mcp_core::ErrorKind;
use mcp_core::auth::time::Instant;
use serde_json::json;
use tower::limit::ConcurrencyLimitLayer;
use tower::retry::{Policy, RetryLayer};
use tower::timeout::TimeoutLayer;
use tower::{Service as _, ServiceBuilder, ServiceExt as _};

use super::*;
use crate::testing::{Answer, Scripted, echo};

const SECOND: Duration = Duration::from_secs(1);

fn gone() -> Answer {
    let peer = "nowhere".to_owned();
    Answer::Unsent(Failure::Connect { peer, source: None }.into())
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_towers_ends_the_call() {
    let server = Scripted::new("s", [Answer::Never]);
    let timeout = layer("timeout", TimeoutLayer::new(2 * SECOND));
    let tool = server.tool(&json!({})).with_middleware(timeout);
    let began = Instant::now();
    let error = tool.call(()).await.unwrap_err();
    // It was under way.
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    let source = StdError::source(&error).map(ToString::to_string);
    assert!(source.is_some_and(|source| source.contains("timed out")));
    assert_eq!(began.elapsed(), 2 * SECOND);
    // The call's own errors come out as they are.
    let error = Error::protocol("broken");
    let server = Scripted::new("s", [Answer::Sent(error)]);
    let timeout = layer("timeout", TimeoutLayer::new(2 * SECOND));
    let tool = server.tool(&json!({})).with_middleware(timeout);
    let error = tool.call(()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_shared_by_all_calls() {
    let layers = ServiceBuilder::new()
        .load_shed()
        .layer(ConcurrencyLimitLayer::new(1));
    let server = Scripted::new("s", [Answer::Never]);
    let tool = server.tool(&json!({}));
    let tool = tool.with_middleware(layer("limit", layers));
    let first = tokio::time::timeout(SECOND, tool.call(()));
    let (first, second) = tokio::join!(first, tool.call(()));
    assert!(first.is_err());
    let error = second.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("denied by limit"), "{error}");
    assert_eq!(server.calls(), 1);
    // The first one gave its place back when it was dropped.
    assert!(tool.call(()).await.is_ok());
}

#[tokio::test]
async fn a_retry_of_towers_makes_the_call_again() {
    #[derive(Clone)]
    struct Twice(usize);
    impl<E> Policy<ToolRequest, ToolOutput, E> for Twice {
        type Future = std::future::Ready<()>;

        fn retry(
            &mut self,
            request: &mut ToolRequest,
            outcome: &mut Result<ToolOutput, E>,
        ) -> Option<Self::Future> {
            self.0 = self.0.checked_sub(1)?;
            request.arguments.insert("again".to_owned(), json!(true));
            outcome.is_err().then(|| std::future::ready(()))
        }

        fn clone_request(&mut self, request: &ToolRequest) -> Option<ToolRequest> {
            Some(request.clone())
        }
    }
    let server = Scripted::new("s", [gone(), gone()]);
    let retry = layer("retry", RetryLayer::new(Twice(2)));
    let tool = server.tool(&json!({})).with_middleware(retry);
    assert_eq!(tool.call(()).await.unwrap().text(), "ok");
    assert_eq!(server.calls(), 3);
}

#[tokio::test]
async fn a_tool_is_a_service() {
    let mut service = ServiceBuilder::new()
        .timeout(SECOND)
        .service(ToolService::new(echo()));
    let arguments = json!({ "n": 1 }).as_object().cloned().unwrap();
    let ready = service.ready().await.unwrap();
    assert_eq!(ready.call(arguments).await.unwrap().text(), r#"{"n":1}"#);
}
