//! How a child fails, and what its callers hear of it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use mcp_auth::SecretString;
use mcp_auth::time::{Clock, Instant, SystemClock};
use mcp_core::{ErrorKind, Limits, ToolServer};
use mcp_stdio::{NotReady, Restart, StdioServer};
use serde_json::json;

use crate::support::*;

fn short_start() -> Limits {
    let mut limits = Limits::default();
    limits.startup_timeout = Duration::from_millis(500);
    limits
}

/// Milliseconds between what the child wrote as its last moment and now.
fn since_exit(shown: &str) -> u128 {
    let now = SystemClock
        .wall()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let (_, at) = shown.split_once("exit-at=").unwrap();
    let digits: String = at.chars().take_while(char::is_ascii_digit).collect();
    now.saturating_sub(digits.parse().unwrap())
}

#[tokio::test]
async fn an_exit_at_start_says_why_without_the_secret() {
    let server = StdioServer::builder(FAULT_CHILD)
        .args(["exit", "3", "bad token canary-token-1"])
        .env("TOKEN", SecretString::from("canary-token-1"))
        .build()
        .unwrap();
    let error = server.list_tools(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerExited);
    let shown = error.to_string();
    assert!(shown.contains("exit status: 3"), "{shown}");
    assert!(shown.contains("bad token [redacted]"), "{shown}");
    assert!(!format!("{error:?}").contains("canary"));
}

#[tokio::test]
async fn an_exit_in_a_call_ends_it_at_once() {
    let server = fault_child("serve")
        .env("TOKEN", "canary-token-1")
        .build()
        .unwrap();
    say(&server, "echo").await;
    let (slow, late) = (context(), context());
    let waiting = call_as(&server, &slow, "wait", json!({}));
    let exiting = async {
        let arguments = json!({"code": 7, "text": "fatal: canary-token-1 is revoked"});
        let outcome = call_as(&server, &late, "exit", arguments).await;
        let shown = chain(outcome.as_ref().unwrap_err());
        (outcome, since_exit(&shown))
    };
    let (waited, (exited, late)) = tokio::join!(waiting, exiting);
    assert!(late < 100, "{late} ms");
    for outcome in [waited, exited] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        let shown = chain(&error);
        assert!(shown.contains("exit status: 7"), "{shown}");
        assert!(shown.contains("fatal: [redacted] is revoked"), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[tokio::test]
async fn a_descendant_with_the_pipes_delays_nothing_and_goes_too() {
    let server = serving();
    let grandchild: i32 = say(&server, "grandchild").await.parse().unwrap();
    let error = call(&server, "exit", json!({"code": 1})).await.unwrap_err();
    let late = since_exit(&chain(&error));
    assert!(late < 100, "{late} ms");
    gone(grandchild).await;
}

#[tokio::test]
async fn half_an_answer_is_no_answer() {
    let server = serving();
    let error = call(&server, "half", json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
}

#[tokio::test]
async fn a_child_that_closes_its_output_is_given_up() {
    let mut limits = Limits::default();
    limits.close_timeout = Duration::from_millis(100);
    let server = fault_child("serve").limits(limits).build().unwrap();
    let pid = pid_of(&server, &context()).await;
    let error = call(&server, "close-output", json!({})).await.unwrap_err();
    assert!(
        chain(&error).contains("standard output is closed"),
        "{}",
        chain(&error)
    );
    gone(pid).await;
}

#[tokio::test]
async fn silence_at_start_ends() {
    let server = fault_child("mute").limits(short_start()).build().unwrap();
    let error = server.list_tools(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn silence_at_start_is_told_with_what_was_said_on_the_side() {
    let server = |words: &str| {
        fault_child("mute")
            .args([words])
            .env("TOKEN", "canary-token-1")
            .limits(short_start())
            .build()
            .unwrap()
    };
    let waiting = server("waiting for the database with canary-token-1");
    // Whose deadline it is makes no difference: the start's, or that of an impatient caller.
    for context in [within(400), context()] {
        let error = waiting.list_tools(&context).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let said = std::error::Error::source(&error).unwrap();
        let said = said.downcast_ref::<NotReady>().unwrap();
        assert_eq!(said.stderr, "waiting for the database with [redacted]");
        assert!(chain(&error).contains("it wrote: waiting for the database"));
    }
    // Whoever comes when it is given up hears it, too.
    let given_up = fault_child("mute")
        .args(["no such database"])
        .limits(short_start())
        .restart(Restart::never())
        .build()
        .unwrap();
    for _ in 0..4 {
        let error = given_up.list_tools(&context()).await.unwrap_err();
        assert!(chain(&error).contains("it wrote: no such database"));
    }
    // A call that takes long is another matter.
    let ready = serving();
    say(&ready, "echo").await;
    let error = call_as(&ready, &within(50), "wait", json!({}))
        .await
        .unwrap_err();
    assert!(std::error::Error::source(&error).is_none());
}

#[tokio::test]
async fn a_child_that_does_not_read_blocks_nobody_else() {
    let server = serving();
    let (deaf, fine) = (of("deaf"), of("fine"));
    let _ = pid_of(&server, &deaf).await;
    let timeout = Duration::from_millis(100);
    let error = call_as(
        &server,
        &of("deaf").with_timeout(timeout),
        "deaf",
        json!({}),
    )
    .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout);
    let big = "x".repeat(10 << 20);
    for _ in 0..5 {
        let context = of("deaf").with_timeout(timeout);
        let began = Instant::now();
        let arguments = json!({"text": &big});
        let error = call_as(&server, &context, "echo", arguments)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(began.elapsed() < Duration::from_secs(2));
    }
    let text = call_as(&server, &fine, "echo", json!({"text": &big}))
        .await
        .unwrap()
        .text();
    assert_eq!(text.len(), big.len());
}

#[tokio::test]
async fn a_crash_is_followed_by_a_new_child_but_not_for_ever() {
    let mut restart = Restart::default();
    restart.first_delay = Duration::from_millis(1);
    restart.limit = 2;
    let server = fault_child("serve").restart(restart).build().unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let pid = pid_of(&server, &context()).await;
        assert_ne!(pid, last);
        last = pid;
        call(&server, "exit", json!({"code": 9, "text": "crashed"}))
            .await
            .unwrap_err();
    }
    let error = call(&server, "echo", json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerExited);
    let shown = error.to_string();
    assert!(
        shown.contains("3 times in a row") && shown.contains("crashed"),
        "{shown}"
    );
    // Forgotten when it is closed by word.
    server.close(&context()).await;
    assert_eq!(say(&server, "echo").await, "");
}

#[tokio::test]
async fn standard_error_is_heard_line_by_line() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let handler = Arc::clone(&heard);
    let server = fault_child("serve")
        .env("TOKEN", "canary-token-1")
        .on_stderr(move |principal, line| {
            handler.lock().unwrap().push(format!("{principal}: {line}"));
            assert!(!line.contains("panic"));
        })
        .build()
        .unwrap();
    let arguments = json!({"kilobytes": 2, "text": "panic\nhas canary-token-1"});
    call(&server, "stderr", arguments).await.unwrap();
    server.close(&context()).await;
    let heard = heard.lock().unwrap();
    assert_eq!(heard.last().unwrap(), "local: has [redacted]");
    assert_eq!(heard.len(), 4);
}
