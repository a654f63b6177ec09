//! So many children and no more, however many principals there are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mcp_core::{CallContext, ErrorKind, Failure, Limits};
use mcp_stdio::StdioServer;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::*;

/// A call that never ends by itself, given up after a while.
async fn busy(server: &StdioServer, context: &CallContext, milliseconds: u64) {
    let end = Duration::from_millis(milliseconds);
    let ended = tokio::time::timeout(end, call_as(server, context, "wait", json!({}))).await;
    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test]
async fn who_was_idle_longest_makes_way() {
    let server = fault_child("serve").max_children(2).build().unwrap();
    let (first, second, third) = (of("first"), of("second"), of("third"));
    let oldest = pid_of(&server, &first).await;
    let newer = pid_of(&server, &second).await;
    pid_of(&server, &third).await;
    assert!(
        !exists(oldest),
        "its place was given away while it was there"
    );
    assert_eq!(pid_of(&server, &second).await, newer);
    assert_ne!(pid_of(&server, &first).await, oldest);
}

#[tokio::test]
async fn who_is_in_use_is_waited_for_in_the_order_of_coming() {
    let server = fault_child("serve").max_children(1).build().unwrap();
    let (first, second, third) = (of("first"), of("second"), of("third"));
    pid_of(&server, &first).await;
    let order = std::sync::Mutex::new(Vec::new());
    let then = async |name, context: &CallContext| {
        let pid = pid_of(&server, context).await;
        order.lock().unwrap().push((name, exists(pid)));
    };
    tokio::join!(
        biased;
        busy(&server, &first, 300),
        then("second", &second),
        then("third", &third),
    );
    let order = order.into_inner().unwrap();
    assert_eq!(order, [("second", true), ("third", true)]);
}

#[tokio::test]
async fn who_waits_in_vain_is_told_the_limit() {
    let mut limits = Limits::default();
    limits.startup_timeout = Duration::from_millis(200);
    let server = fault_child("serve").max_children(1).build().unwrap();
    let impatient = of("second").with_timeout(Duration::from_millis(200));
    let held = of("first");
    pid_of(&server, &held).await;
    let refused = async {
        let refused = call_as(&server, &impatient, "echo", json!({})).await;
        let error = refused.unwrap_err();
        let Failure::LimitExceeded { limit, value, .. } = error.failure() else {
            panic!("{error}")
        };
        assert_eq!((*limit, *value), ("max_children", 1));
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    };
    tokio::join!(biased; busy(&server, &held, 400), refused);
    // A start has its own bound, whatever time the caller has.
    let server = fault_child("serve").max_children(1).limits(limits);
    let server = server.build().unwrap();
    pid_of(&server, &held).await;
    let refused = async {
        let error = call_as(&server, &of("second"), "echo", json!({})).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::LimitExceeded);
    };
    tokio::join!(biased; busy(&server, &held, 400), refused);
    assert!(
        call_as(&server, &of("second"), "echo", json!({}))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_child_that_is_slow_to_leave_keeps_its_place() {
    let mut limits = Limits::default();
    limits.close_timeout = Duration::from_millis(300);
    let server = fault_child("serve").limits(limits).max_children(1);
    let server = server.build().unwrap();
    let first = of("first");
    let slow = pid_of(&server, &first).await;
    // From now on it does not hear that its input is closed.
    let deaf = first.with_timeout(Duration::from_millis(50));
    call_as(&server, &deaf, "deaf", json!({}))
        .await
        .unwrap_err();
    pid_of(&server, &of("second")).await;
    assert!(!exists(slow), "there were two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_shares_a_few_children() {
    const PLACES: usize = 4;
    let server = Arc::new(fault_child("serve").max_children(PLACES).build().unwrap());
    let mut crowd = JoinSet::new();
    for number in 0..60 {
        let server = Arc::clone(&server);
        crowd.spawn(async move {
            let user = format!("user-{number}");
            let pid = pid_of(&server, &of(&user)).await;
            let there = server_children();
            assert!(there.len() <= PLACES, "{there:?}");
            pid
        });
    }
    let pids: BTreeSet<_> = crowd.join_all().await.into_iter().collect();
    assert_eq!(pids.len(), 60, "each had a child of its own");
    server.close_all().await;
    assert_eq!(server_children(), BTreeSet::new());
}

/// The children of this process, each test of which has a process of its own.
fn server_children() -> BTreeSet<i32> {
    let own = std::process::id();
    let tasks = std::fs::read_dir(format!("/proc/{own}/task")).unwrap();
    let lists = tasks.filter_map(|task| {
        let list = task.ok()?.path().join("children");
        std::fs::read_to_string(list).ok()
    });
    let lists: Vec<_> = lists.collect();
    let all = lists.iter().flat_map(|list| list.split_whitespace());
    all.map(|pid| pid.parse().unwrap()).collect()
}
