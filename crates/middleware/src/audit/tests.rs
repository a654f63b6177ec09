//! What an auditor would miss.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use mcp_core::{Failure, Principal, TraceContext};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::before_call;
use crate::testing::{Answer, Scripted, echo};

/// Log lines, for looking at.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let lines = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(lines.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE)
            .finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

/// Keeps records, or does not.
#[derive(Debug)]
struct Kept(mpsc::Sender<AuditRecord>, Arc<AtomicSwitch>);

type AtomicSwitch = std::sync::atomic::AtomicBool;

impl AuditSink for Kept {
    fn write(&mut self, record: &AuditRecord) -> io::Result<()> {
        if self.1.load(Ordering::SeqCst) {
            return Err(io::Error::other("disk full"));
        }
        self.0.send(record.clone()).map_err(io::Error::other)
    }
}

fn audited(policy: SinkPolicy) -> (Audit, mpsc::Receiver<AuditRecord>, Arc<AtomicSwitch>) {
    let (sender, receiver) = mpsc::channel();
    let broken = Arc::new(AtomicSwitch::new(false));
    let sink = Kept(sender, Arc::clone(&broken));
    (Audit::new().sink(sink, policy).unwrap(), receiver, broken)
}

fn next(records: &mpsc::Receiver<AuditRecord>) -> AuditRecord {
    records.recv_timeout(Duration::from_secs(5)).unwrap()
}

#[tokio::test]
async fn mcp_tools_are_announced_and_others_pass() {
    let (lines, _guard) = Lines::listen();
    let own = AgentTool::local("add", "", &json!({}), |_: Value| async { Ok("3") }).unwrap();
    let audit = Audit::new();
    let (own, mcp) = (
        own.with_middleware(audit.clone()),
        echo().with_middleware(audit),
    );
    assert_eq!(own.call(()).await.unwrap().text(), "3");
    assert_eq!(lines.text(), "");
    mcp.call(json!({ "secret": "canary-argument" }))
        .await
        .unwrap();
    let text = lines.text();
    assert!(
        text.lines()
            .next()
            .unwrap()
            .contains(r#"mcp_call tool="echo""#),
        "{text}"
    );
    assert!(
        text.contains("mcp_call_end") && text.contains(r#"outcome="ok""#),
        "{text}"
    );
    assert!(text.contains(r#"decision="allowed""#), "{text}");
    let (_, duration) = text.split_once("duration_ms=").unwrap();
    let digits = duration.split(' ').next().unwrap().split('.').nth(1);
    assert!(digits.is_none_or(|digits| digits.len() <= 3), "{text}");
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test]
async fn a_record_tells_who_what_and_how() {
    let (audit, records, _) = audited(SinkPolicy::Drop);
    let server = Scripted::new("s", [Answer::Sent(Error::protocol("broken"))]);
    let alice = Principal::in_tenant("acme", "alice").unwrap();
    let tool = server.tool(&json!({})).with_principal(alice.clone());
    let tool = tool.with_middleware(audit.digest_arguments([7; 32]));
    let trace = TraceContext::new(format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16)));
    let context = tool.context().with_trace(trace.unwrap());
    let arguments = json!({ "secret": "canary-argument" });
    assert!(tool.call_with(&arguments, &context).await.is_err());
    let record = next(&records);
    assert_eq!(record.principal, alice);
    assert_eq!((record.server.as_str(), record.tool.as_str()), ("s", "t"));
    assert_eq!(record.param_model, "MCP_t_Input");
    assert_eq!(record.outcome, AuditOutcome::Failed);
    assert_eq!(record.error_kind, Some(ErrorKind::Protocol));
    assert_eq!(record.attempts, 1);
    assert!(record.credentials.is_some());
    assert_eq!(record.trace_id, Some("a".repeat(32)));
    assert_eq!(record.arguments_digest.as_ref().map(String::len), Some(32));
    let line = record.to_json();
    let read: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(read["user"], "alice");
    assert_eq!(read["tenant"], "acme");
    assert_eq!(read["error_kind"], "protocol");
    assert!(
        !line.contains("canary") && !line.contains("test-token"),
        "{line}"
    );
    assert!(!format!("{record:?}").contains("test-token"));
}

#[tokio::test(start_paused = true)]
async fn denials_and_dropped_calls_are_recorded() {
    let (audit, records, _) = audited(SinkPolicy::Drop);
    let server = Scripted::new("s", [Answer::Never]);
    let tool = server.tool(&json!({})).with_middleware(audit.clone());
    let denying = tool.with_middleware(before_call("rule", |call| {
        let by = before_call("rule", |_| Ok(Flow::Continue));
        Err(call.denied_by(&by, "no"))
    }));
    assert!(denying.call(()).await.is_err());
    assert_eq!(next(&records).outcome, AuditOutcome::Denied);
    let soon = tokio::time::timeout(Duration::from_millis(1), tool.call(())).await;
    assert!(soon.is_err());
    let record = next(&records);
    assert_eq!(
        (record.outcome, record.attempts),
        (AuditOutcome::Dropped, 1)
    );
    assert_eq!(record.decision, AuditDecision::Allowed);
    // Who set the end is told apart from who walked away.
    let server = Scripted::new("s", [Answer::Never, Answer::Never]);
    let tool = server.tool(&json!({})).with_middleware(audit);
    assert!(tool.call(()).await.is_err());
    let record = next(&records);
    let told = (record.outcome, record.error_kind);
    assert_eq!(told, (AuditOutcome::Failed, Some(ErrorKind::Timeout)));
    let token = CancellationToken::new();
    let context = tool.context().with_cancellation(token.clone());
    let call = tool.call_with((), &context);
    let (outcome, ()) = tokio::join!(call, async {
        tokio::task::yield_now().await;
        token.cancel();
    });
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
    let record = next(&records);
    let told = (record.outcome, record.error_kind);
    assert_eq!(told, (AuditOutcome::Cancelled, Some(ErrorKind::Cancelled)));
}

#[tokio::test(start_paused = true)]
async fn who_decided_is_recorded() {
    let (audit, records, _) = audited(SinkPolicy::Drop);
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    let tool = AgentTool::from_parts("t", "", &schema, |_: Value| async { Ok("ok") }).unwrap();
    let tool = tool
        .with_middleware(audit)
        .with_middleware(crate::around_call("slow", |call, next| {
            Box::pin(async move {
                if call.arguments().contains_key("wait") {
                    std::future::pending::<()>().await;
                }
                next.run(call).await
            })
        }))
        .with_middleware(before_call("rule", |call| {
            let asked = |key| call.arguments().contains_key(key);
            if asked("deny") {
                let rule = before_call("rule", |_| Ok(Flow::Continue));
                return Err(call.denied_by(&rule, "no"));
            }
            Ok(if asked("answer") {
                Flow::Answer("cached".into())
            } else {
                Flow::Continue
            })
        }));
    let by = || "rule".to_owned();
    for (arguments, decision) in [
        (json!({}), AuditDecision::Allowed),
        (json!({ "deny": 1 }), AuditDecision::Denied { by: by() }),
        (json!({ "answer": 1 }), AuditDecision::Answered { by: by() }),
        (json!({ "n": "x" }), AuditDecision::Invalid),
        (json!({ "wait": 1 }), AuditDecision::Undecided),
    ] {
        let _ = tool.call(&arguments).await;
        let record = next(&records);
        assert_eq!(record.decision, decision, "{arguments}");
        let line: Value = serde_json::from_str(&record.to_json()).unwrap();
        assert_eq!(line["decision"], decision.as_str());
        assert_eq!(line["decided_by"].as_str(), decision.by());
    }
}

#[test]
fn the_shape_of_the_line_is_the_documented_one() {
    let record = AuditRecord {
        version: AuditRecord::VERSION,
        at: std::time::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        principal: Principal::in_tenant("acme", "alice").unwrap(),
        server: mcp_core::ServerId::new("github").unwrap(),
        tool: "gh_search".to_owned(),
        param_model: "MCP_search_Input".to_owned(),
        credentials: None,
        arguments_digest: None,
        decision: AuditDecision::Denied {
            by: "Approval".to_owned(),
        },
        outcome: AuditOutcome::Denied,
        error_kind: Some(ErrorKind::Denied),
        duration: Duration::from_nanos(14_431_612),
        attempts: 0,
        trace_id: None,
    };
    let line = concat!(
        r#"{"version":1,"at_unix_ms":1700000000123,"tenant":"acme","user":"alice","#,
        r#""server":"github","tool":"gh_search","param_model":"MCP_search_Input","#,
        r#""credentials":null,"decision":"denied","decided_by":"Approval","outcome":"denied","#,
        r#""error_kind":"denied","duration_ms":14.432,"attempts":0,"trace_id":null}"#
    );
    assert_eq!(record.to_json(), line);
}

#[tokio::test]
async fn a_failing_sink_denies_until_it_works_again() {
    let (audit, records, broken) = audited(SinkPolicy::Deny);
    let server = Scripted::new("s", []);
    let tool = server.tool(&json!({})).with_middleware(audit.clone());
    broken.store(true, Ordering::SeqCst);
    tool.call(()).await.unwrap();
    audit.flush().await;
    let error = tool.call(()).await.unwrap_err();
    assert!(matches!(error.failure(), Failure::Denied { .. }), "{error}");
    assert_eq!(server.calls(), 1);
    audit.flush().await;
    broken.store(false, Ordering::SeqCst);
    // The denial is a record; once it is kept, calls go on.
    assert!(tool.call(()).await.is_err());
    assert_eq!(next(&records).outcome, AuditOutcome::Denied);
    audit.flush().await;
    tool.call(()).await.unwrap();
    assert_eq!(audit.lost(), 2);
}

/// Keeps records when it is let.
#[derive(Debug)]
struct Blocked(mpsc::Receiver<()>);

impl AuditSink for Blocked {
    fn write(&mut self, _record: &AuditRecord) -> io::Result<()> {
        let _ = self.0.recv();
        Ok(())
    }
}

#[tokio::test]
async fn whoever_was_let_in_is_recorded_however_far_behind_the_sink_is() {
    let (release, blocked) = mpsc::channel();
    let sink = Blocked(blocked);
    let audit = Audit::new().sink(sink, SinkPolicy::Deny).unwrap();
    let (go, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let held = {
        let (go, begun) = (Arc::clone(&go), Arc::clone(&begun));
        AgentTool::from_parts("held", "", &json!({}), move |_: Value| {
            begun.fetch_add(1, Ordering::SeqCst);
            let go = Arc::clone(&go);
            async move { Ok(go.acquire().await.map_or("", |_| "done")) }
        })
    };
    let held = held.unwrap().with_middleware(audit.clone());
    // Let in while there was room, over when there is none.
    let mut under_way = JoinSet::new();
    for _ in 0..20 {
        let held = held.clone();
        under_way.spawn(async move { held.call(()).await });
    }
    while begun.load(Ordering::SeqCst) < 20 {
        tokio::task::yield_now().await;
    }
    let tool = echo().with_middleware(audit.clone());
    let mut made = 0;
    while tool.call(()).await.is_ok() {
        made += 1;
    }
    // The queue, and the one that the sink is at.
    assert!((1_024..=1_026).contains(&made), "{made}");
    let denied = audit.lost();
    go.add_permits(20);
    while let Some(call) = under_way.join_next().await {
        call.unwrap().unwrap();
    }
    assert_eq!(audit.lost(), denied);
    drop(release);
    audit.flush().await;
    assert_eq!(audit.lost(), denied);
    assert!(tool.call(()).await.is_ok());
}

#[tokio::test]
async fn a_blocked_sink_holds_up_nobody() {
    let (release, blocked) = mpsc::channel();
    let audit = Audit::new()
        .sink(Blocked(blocked), SinkPolicy::Drop)
        .unwrap();
    let tool = echo().with_middleware(audit.clone());
    for _ in 0..1_200 {
        tool.call(()).await.unwrap();
    }
    // The queue, and the one that the sink is at.
    assert!(
        (1_200 - 1_026..=1_200 - 1_024).contains(&audit.lost()),
        "{}",
        audit.lost()
    );
    drop(release);
}

#[tokio::test]
async fn lines_of_json_are_written_when_the_audit_ends() {
    let lines = Lines::default();
    let audit = Audit::new()
        .sink(JsonLines::new(lines.clone()), SinkPolicy::Drop)
        .unwrap();
    let tool = echo().with_middleware(audit.clone());
    for _ in 0..3 {
        tool.call(()).await.unwrap();
    }
    audit.flush().await;
    let text = lines.text();
    assert_eq!(text.lines().count(), 3);
    for line in text.lines() {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["version"], 1);
    }
}
