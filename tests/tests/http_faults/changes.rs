//! D8: hearing of changed tools from servers that tell only who asks (2026-07-28).

use mcp_core::{Error, ToolServer};
use mcp_http::HttpServer;
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

use crate::harness::{PATIENCE, context, modern};

const LISTEN: &str = "subscriptions/listen";

/// A server that says that it tells of changed tools; `listens` answers who asks, and is given how
/// many asked before.
async fn telling<W>(
    listens: impl Fn(usize, Request, Wire) -> W + Clone + Send + Sync + 'static,
) -> FaultServer
where
    W: Future<Output = ()> + Send + 'static,
{
    let asked = Arc::new(AtomicUsize::new(0));
    FaultServer::start(move |request, mut wire| {
        let (listens, asked) = (listens.clone(), Arc::clone(&asked));
        async move {
            match request.rpc_method().as_str() {
                LISTEN => {
                    listens(asked.fetch_add(1, Ordering::SeqCst), request, wire).await;
                    None
                }
                "server/discover" => {
                    let said = json!({"supportedVersions": ["2026-07-28"],
                        "capabilities": {"tools": {"listChanged": true}}});
                    wire.json(&request.result(&said)).await.then_some(wire)
                }
                _ => wire.modern(&request).await.then_some(wire),
            }
        }
    })
    .await
}

fn note(method: &str, id: &Value, more: &Value) -> String {
    let mut params = more.clone();
    params["_meta"] = json!({"io.modelcontextprotocol/subscriptionId": id});
    json!({"jsonrpc": "2.0", "method": format!("notifications/{method}"), "params": params})
        .to_string()
}

fn acknowledged(request: &Request, tools: bool) -> String {
    let accepted = json!({"notifications": {"toolsListChanged": tools}});
    note("subscriptions/acknowledged", &request.id(), &accepted)
}

fn changed(id: &Value) -> String {
    note("tools/list_changed", id, &json!({}))
}

async fn list(client: &HttpServer, user: &str) -> Result<usize, Error> {
    let listing = client.list_tools(&context(user)).await?;
    Ok(listing.tools.len())
}

#[tokio::test]
async fn d8_a_storm_of_changes_is_one_change_and_each_principal_asks_once() {
    let server = telling(|_, request, mut wire| async move {
        wire.events("").await;
        wire.event(&acknowledged(&request, true)).await;
        // Somebody else's, which must not count.
        wire.event(&changed(&json!(999_999))).await;
        for _ in 0..1000 {
            wire.event(&changed(&request.id())).await;
        }
        wire.closed().await;
    })
    .await;
    let client = modern(&server).build().unwrap();
    let mut changes = client.tool_changes();
    for user in ["alice", "alice", "bob"] {
        assert_eq!(list(&client, user).await.unwrap(), 1);
    }
    let all = changes.wait_for(|count| *count >= 2000);
    let all = tokio::time::timeout(PATIENCE, all).await.unwrap().unwrap();
    assert_eq!(*all, 2000);
    drop(all);
    assert!(!changes.has_changed().unwrap());
    assert_eq!(server.count(LISTEN), 2);
    let seen = server.seen();
    let asked = seen.iter().find(|it| it.rpc_method() == LISTEN).unwrap();
    let params = &asked.json()["params"];
    assert_eq!(params["notifications"], json!({"toolsListChanged": true}));
    assert_eq!(asked.header("mcp-method"), Some(LISTEN));
    assert_eq!(asked.header("mcp-protocol-version"), Some("2026-07-28"));
}

#[tokio::test]
async fn nobody_is_asked_to_tell_what_nobody_wants_to_know() {
    let server = telling(|_, _, mut wire| async move { wire.closed().await }).await;
    let client = modern(&server).build().unwrap();
    list(&client, "alice").await.unwrap();
    drop(client.tool_changes());
    list(&client, "alice").await.unwrap();
    assert_eq!(server.count(LISTEN), 0);

    // A server that tells nothing is not asked either.
    let silent = FaultServer::modern().await;
    let client = modern(&silent).listen(true).build().unwrap();
    list(&client, "alice").await.unwrap();
    assert_eq!(silent.count(LISTEN), 0);
}

#[tokio::test]
async fn a_stream_that_breaks_is_opened_again_and_counts_as_a_change() {
    let server = telling(|asked, request, mut wire| async move {
        wire.events("").await;
        wire.event(&acknowledged(&request, true)).await;
        match asked {
            0 => {}
            // The graceful end.
            1 => drop(wire.event(&request.result(&json!({}))).await),
            _ => wire.closed().await,
        }
    })
    .await;
    let client = modern(&server).listen(true).build().unwrap();
    list(&client, "alice").await.unwrap();
    let mut changes = client.tool_changes();
    let twice = changes.wait_for(|count| *count >= 2);
    let twice = tokio::time::timeout(PATIENCE, twice).await;
    assert_eq!(*twice.unwrap().unwrap(), 2);
    assert_eq!(server.count(LISTEN), 3);
}

#[tokio::test]
async fn a_server_that_will_not_tell_is_not_asked_again() {
    for how in ["refuses", "status", "subset"] {
        let server = telling(move |_, request, mut wire| async move {
            match how {
                "refuses" => drop(wire.json(&request.error(-32601, "no such method")).await),
                "status" => drop(wire.respond(404, &[], "").await),
                _ => {
                    wire.events("").await;
                    wire.event(&acknowledged(&request, false)).await;
                    wire.closed().await;
                }
            }
        })
        .await;
        let client = modern(&server).listen(true).build().unwrap();
        list(&client, "alice").await.unwrap();
        // The task has ended when the next listing asks anew.
        let asked_anew = async {
            while server.count(LISTEN) < 2 {
                list(&client, "alice").await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, asked_anew).await.unwrap();
        assert_eq!(*client.tool_changes().borrow(), 0);
    }
}

#[tokio::test]
async fn a_subscription_ends_with_the_principals_close_and_with_the_server() {
    let (told, mut hears) = mpsc::unbounded_channel();
    let server = telling(move |_, request, mut wire| {
        let told = told.clone();
        async move {
            wire.events("").await;
            wire.event(&acknowledged(&request, true)).await;
            told.send("open").unwrap();
            wire.closed().await;
            told.send("closed").unwrap();
        }
    })
    .await;
    let client = modern(&server).listen(true).build().unwrap();
    list(&client, "alice").await.unwrap();
    assert_eq!(hears.recv().await, Some("open"));
    client.close(&context("alice")).await;
    assert_eq!(hears.recv().await, Some("closed"));
    list(&client, "alice").await.unwrap();
    assert_eq!(hears.recv().await, Some("open"));
    drop(client);
    assert_eq!(hears.recv().await, Some("closed"));
}
