//! C: how long a call may take, whatever comes meanwhile.

use mcp_core::{CallContext, ErrorKind, Principal, ProgressHandler, ProgressUpdate};
use mcp_testbed::fault::FaultServer;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

use crate::bodies::JSON_HEAD;
use crate::harness::{Gated, PATIENCE, call_within, context, later, modern, small};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn c4_c5_no_trickle_keeps_a_call_past_its_deadline() {
    for trickle in [
        ": ping\n\n",
        "{",
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":1}}\n\n",
    ] {
        let server = FaultServer::start(move |_, mut wire| async move {
            if trickle == "{" {
                wire.raw(format!("{JSON_HEAD}Content-Length: 1000\r\n\r\n"))
                    .await;
            } else {
                wire.events("").await;
            }
            while wire.raw(trickle).await {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            None
        })
        .await;
        let client = modern(&server).build().unwrap();
        let context = CallContext::new(Principal::local()).with_timeout(Duration::from_millis(400));
        let error = call_within(&client, &context).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{trickle:?}");
    }
}

#[tokio::test]
async fn a_caller_who_gives_more_time_gets_more_time() {
    let mut gated = Gated::start(|_| true).await;
    let mut limits = small();
    limits.call_timeout = 30 * SECOND;
    let client = modern(&gated.server).limits(limits).build().unwrap();
    for (context, gets) in [
        (
            context("alice").with_timeout(90 * SECOND),
            Ok("done".to_owned()),
        ),
        (
            CallContext::new(Principal::local()),
            Err(ErrorKind::Timeout),
        ),
    ] {
        let client = client.clone();
        let calling = tokio::spawn(async move { call_within(&client, &context).await });
        gated.held.recv().await.unwrap();
        later(60 * SECOND).await;
        tokio::task::yield_now().await;
        gated.may.add_permits(1);
        let called = calling.await.unwrap();
        assert_eq!(called.map(|it| it.text()).map_err(|it| it.kind()), gets);
    }
}

/// Tells a test of each update.
#[derive(Debug)]
struct Hears(mpsc::UnboundedSender<f64>);

impl ProgressHandler for Hears {
    fn progress(&self, update: ProgressUpdate<'_>) {
        self.0.send(update.progress).unwrap();
    }
}

#[tokio::test]
async fn c5_progress_extends_the_deadline_only_if_asked_and_never_past_the_total() {
    // Progress keeps it alive longer than its patience is; the total ends it.
    for (pauses, while_waiting_for) in [
        (&[20, 20, 20][..], "waiting for the answer"),
        (&[20, 25], "waiting for progress"),
    ] {
        let ticks = Arc::new(Semaphore::new(0));
        let ticking = Arc::clone(&ticks);
        let server = FaultServer::start(move |request, mut wire| {
            let ticks = Arc::clone(&ticking);
            async move {
                wire.events("").await;
                let token = request.json()["params"]["_meta"]["progressToken"].clone();
                let told = json!({"jsonrpc": "2.0", "method": "notifications/progress",
                    "params": {"progressToken": token, "progress": 1}});
                loop {
                    ticks.acquire().await.unwrap().forget();
                    wire.event(&told.to_string()).await;
                }
            }
        })
        .await;
        let mut limits = small();
        limits.call_timeout = 60 * SECOND;
        let client = modern(&server).limits(limits).build().unwrap();
        let (told, mut hears) = mpsc::unbounded_channel();
        let patient = CallContext::default()
            .with_progress_timeout(25 * SECOND)
            .with_progress(Arc::new(Hears(told)));
        let calling = tokio::spawn(async move { call_within(&client, &patient).await });
        for pause in pauses {
            ticks.add_permits(1);
            hears.recv().await.unwrap();
            later(*pause * SECOND).await;
        }
        let called = tokio::time::timeout(PATIENCE, calling).await.unwrap();
        let error = called.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains(while_waiting_for), "{error}");
    }
}
