//! How a child ends, whatever happens around it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mcp_auth::time::Instant;
use mcp_core::{Limits, Principal, ToolServer};
use mcp_stdio::StdioServer;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::*;

#[tokio::test]
async fn a_child_and_its_descendants_leave_on_close() {
    let server = serving();
    let pid = pid_of(&server, &context()).await;
    let grandchild: i32 = say(&server, "grandchild").await.parse().unwrap();
    server.close(&context()).await;
    assert!(!exists(pid));
    gone(grandchild).await;
    // And it begins anew.
    assert_ne!(pid_of(&server, &context()).await, pid);
}

#[tokio::test]
async fn a_stubborn_child_is_killed_with_its_group() {
    let mut limits = Limits::default();
    limits.close_timeout = Duration::from_millis(100);
    // Ignores the signal, and so does what it starts; goes on when its input ends.
    let script = "trap '' TERM; \"$1\" serve; while :; do sleep 1000; done";
    let server = StdioServer::builder("sh")
        .args(["-c", script, "sh", FAULT_CHILD])
        .limits(limits)
        .terminate_grace(Duration::from_millis(100))
        .build()
        .unwrap();
    let inner = pid_of(&server, &context()).await;
    let outer = server
        .diagnostics(&Principal::local())
        .unwrap()
        .pid
        .unwrap();
    let outer = i32::try_from(outer).unwrap();
    assert_ne!(inner, outer);
    let began = Instant::now();
    server.close(&context()).await;
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert!(!exists(outer));
    gone(inner).await;
}

#[test]
fn dropped_outside_of_a_runtime_nothing_stays() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    // The runtime lives on and does the work.
    let living = runtime();
    let server = serving();
    let pid = living.block_on(pid_of(&server, &context()));
    drop(server);
    living.block_on(gone(pid));
    // The runtime goes first; the server is used in another one afterwards.
    let (dying, server) = (runtime(), serving());
    let pid = dying.block_on(pid_of(&server, &context()));
    drop(dying);
    assert!(!exists(pid));
    let other = living.block_on(pid_of(&server, &context()));
    assert_ne!(other, pid);
    drop(server);
    living.block_on(gone(other));
    // A runtime of one thread that nobody drives any more.
    let single = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = serving();
    let pid = single.block_on(pid_of(&server, &context()));
    drop(server);
    drop(single);
    assert!(!exists(pid));
}

#[test]
fn a_panic_leaves_nothing() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let server = serving();
            sender.send(pid_of(&server, &context()).await).unwrap();
            panic!("on purpose");
        });
    });
    let pid = receiver.recv().unwrap();
    assert!(thread.join().is_err());
    tokio::runtime::Runtime::new().unwrap().block_on(gone(pid));
}

#[tokio::test]
async fn an_idle_child_is_stopped() {
    let server = fault_child("serve")
        .idle_timeout(Some(Duration::from_millis(50)))
        .build()
        .unwrap();
    let pid = pid_of(&server, &context()).await;
    gone(pid).await;
    assert_ne!(pid_of(&server, &context()).await, pid);
}

/// A process that is killed when the test ends, however it ends.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Processes that are killed when the test ends, if they are still there.
struct Ended([i32; 2]);

impl Drop for Ended {
    fn drop(&mut self) {
        for pid in self.0.into_iter().filter(|pid| exists(*pid)) {
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
    }
}

#[tokio::test]
async fn a_parent_that_is_killed_takes_its_child_along() {
    let mut command = Command::new(FAULT_CHILD);
    command.arg("parent").stdout(Stdio::piped());
    let mut parent = Killed(command.spawn().unwrap());
    let mut line = String::new();
    let output = parent.0.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let (child, grandchild) = line.trim().split_once(' ').unwrap();
    let (child, grandchild) = (child.parse().unwrap(), grandchild.parse().unwrap());
    let _leaves_nothing = Ended([child, grandchild]);
    assert!(exists(child) && exists(grandchild));
    // The child does not look at its input any more: only the kernel can tell it.
    drop(parent);
    gone(child).await;
    // What the child started in a group of its own hears that its input ends.
    gone(grandchild).await;
}

#[test]
fn a_child_outlives_the_thread_that_asked_for_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_keep_alive(Duration::from_millis(1))
        .enable_all()
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    let task = || std::fs::read_link("/proc/thread-self").unwrap();
    let ask = |server: Arc<StdioServer>| {
        let handle = handle.clone();
        move || (handle.block_on(pid_of(&server, &context())), task())
    };
    let started = |of_thread: bool| {
        let server = Arc::new(serving());
        let ask = ask(Arc::clone(&server));
        let (pid, thread) = if of_thread {
            std::thread::spawn(ask).join().unwrap()
        } else {
            runtime.block_on(runtime.spawn_blocking(ask)).unwrap()
        };
        // Once it is no longer listed, whatever its end causes has been caused.
        let thread = std::path::Path::new("/proc").join(thread);
        runtime.block_on(async {
            let ended = async {
                while thread.exists() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
            assert!(ended.is_ok(), "the thread lives on");
            assert_eq!(pid_of(&server, &context()).await, pid);
            server.close(&context()).await;
        });
    };
    started(true);
    started(false);
}
