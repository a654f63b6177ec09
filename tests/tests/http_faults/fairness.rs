//! F8: one principal floods, the others keep their share; many together open no more connections
//! than they may.

use mcp_core::ErrorKind;
use mcp_testbed::fault::{FaultServer, Request};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::harness::{Gated, call_within, context, legacy, modern, small};

#[tokio::test]
async fn f8_one_who_floods_waits_for_itself_only() {
    // Only Bob's call asks for progress.
    let asks_no_progress =
        |request: &Request| request.json()["params"]["_meta"]["progressToken"].is_null();
    let mut gated = Gated::start(asks_no_progress).await;
    let server = &gated.server;
    let mut limits = small();
    limits.calls_per_principal = 3;
    let client = modern(server).limits(limits).build().unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let client = client.clone();
        calls.spawn(async move { call_within(&client, &context("alice")).await });
    }
    for _ in 0..3 {
        gated.held.recv().await.unwrap();
    }
    // Who is at the limit waits within the deadline, and the server hears nothing of it.
    let hurried = context("alice").with_timeout(Duration::from_millis(100));
    let error = call_within(&client, &hurried).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(hurried.report().attempts, 0);
    assert_eq!(server.count("tools/call"), 3);
    // Another one is served at once.
    let bob = context("bob").with_progress_timeout(Duration::from_secs(5));
    assert_eq!(call_within(&client, &bob).await.unwrap().text(), "done");
    // And all are served in the end.
    gated.may.add_permits(20);
    while let Some(called) = calls.join_next().await {
        assert_eq!(called.unwrap().unwrap().text(), "done");
    }
    assert_eq!(server.count("tools/call"), 21);
}

#[tokio::test]
async fn many_principals_share_a_bounded_number_of_connections() {
    for sessions in [false, true] {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counts, peak) = (Arc::clone(&now), Arc::clone(&most));
        let gate = Arc::new(Semaphore::new(0));
        let opens = Arc::clone(&gate);
        let server = FaultServer::start(move |request, mut wire| {
            let (now, most, gate) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                if !sessions || request.rpc_method() == "initialize" {
                    drop(gate.acquire().await.unwrap());
                }
                let answered = if sessions {
                    wire.session(&request, "test-session").await
                } else {
                    wire.modern(&request).await
                };
                now.fetch_sub(1, Ordering::SeqCst);
                answered.then_some(wire)
            }
        })
        .await;
        let mut limits = small();
        limits.calls_in_flight = 4;
        let client = if sessions {
            legacy(&server)
        } else {
            modern(&server)
        };
        let client = client.limits(limits).build().unwrap();
        // The dialect is known before the gate is closed.
        opens.add_permits(1);
        call_within(&client, &context("first")).await.unwrap();
        opens.acquire().await.unwrap().forget();
        let mut calls = JoinSet::new();
        for user in 0..40 {
            let client = client.clone();
            calls.spawn(async move { call_within(&client, &context(&format!("u{user}"))).await });
        }
        while counts.load(Ordering::SeqCst) < 4 {
            tokio::task::yield_now().await;
        }
        // Who waits for a turn is told which limit it is, and nothing of it was sent.
        let hurried = context("bob").with_timeout(Duration::from_millis(100));
        let error = call_within(&client, &hurried).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("`calls_in_flight`"), "{error}");
        assert_eq!(hurried.report().attempts, 0);
        opens.add_permits(1000);
        while let Some(called) = calls.join_next().await {
            assert_eq!(called.unwrap().unwrap().text(), "done");
        }
        assert_eq!(peak.load(Ordering::SeqCst), 4);
    }
}
