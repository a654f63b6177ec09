//! Two users at once, thousands of times: nothing of one ever comes to the other.

use std::sync::atomic::{AtomicU64, Ordering};

use mcp_testbed::fault::{FaultServer, Request, Wire};
use mcp_toolkit::auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady,
};
use mcp_toolkit::{McpToolkit, load_mcp_tools_http};
use serde_json::json;

use crate::{say, who};

/// Gives each user tokens that say whose they are, another one every few requests.
#[derive(Debug, Default)]
struct Rotating(AtomicU64);

impl CredentialProvider for Rotating {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let turn = self.0.fetch_add(1, Ordering::Relaxed) / 50;
        let token = format!("test-token-{}-{turn}", request.principal.user());
        MaybeReady::ready(Credentials::bearer(token).map_err(Into::into))
    }
}

/// Whoever the token names has a tool of that name, which says whose token came with the call.
async fn echo_who_called() -> FaultServer {
    FaultServer::start(|request: Request, mut wire: Wire| async move {
        let token = request.header("authorization").unwrap_or_default();
        let user = token.split('-').nth(2).unwrap_or("nobody").to_owned();
        let result = match request.rpc_method().as_str() {
            "tools/list" => json!({"resultType": "complete", "tools": [
                {"name": format!("tool_of_{user}"), "inputSchema": {"type": "object"}}]}),
            "tools/call" => json!({"resultType": "complete",
                "content": [{"type": "text", "text": user}]}),
            _ => return wire.modern(&request).await.then_some(wire),
        };
        wire.json(&request.result(&result)).await.then_some(wire)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_operations_of_two_users_never_cross() {
    const TURNS: usize = 760;
    let server = echo_who_called().await;
    let toolkit = McpToolkit::builder()
        .server("s", load_mcp_tools_http(server.url()))
        .credentials("s", Rotating::default())
        .build()
        .unwrap();
    let mut workers = Vec::new();
    for worker in 0..8 {
        let toolkit = toolkit.clone();
        let user = if worker % 2 == 0 { "alice" } else { "bob" };
        workers.push(tokio::spawn(async move {
            let principal = who(user);
            let own = format!("tool_of_{user}");
            let mut operations = 0;
            for turn in 0..TURNS {
                let tools = toolkit.tools_for(&principal).await;
                let names: Vec<_> = tools
                    .tools()
                    .iter()
                    .map(|tool| tool.name().to_owned())
                    .collect();
                assert_eq!(names, [own.as_str()]);
                operations += 1;
                match turn % 10 {
                    9 if turn % 100 == 99 => {
                        toolkit.logout(&principal, "s").await.unwrap();
                        operations += 1;
                    }
                    7..=9 => {}
                    _ => {
                        assert_eq!(say(tools.tools(), &own).await.unwrap(), user);
                        operations += 1;
                    }
                }
            }
            operations
        }));
    }
    let mut done = 0;
    for worker in workers {
        done += worker.await.unwrap();
    }
    assert!(done >= 10_000, "{done} operations");
}
