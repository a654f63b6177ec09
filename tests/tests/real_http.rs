//! Streamable HTTP against servers that other people wrote.
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_core::auth::{Bearer, CredentialError, CredentialProvider, CredentialRequest, Credentials};
use mcp_core::auth::{MaybeReady, Recovery, Rejection};
use mcp_core::{
    CallContext, ErrorKind, Principal, ProgressHandler, ProgressUpdate, ProtocolVersion, ToolCall,
    ToolListing, ToolServer, Transport,
};
use mcp_http::HttpServer;
use mcp_testbed::real::{EverythingServer, FastMcpServer};
use serde_json::{Map, Value, json};

const MINUTE: Duration = Duration::from_secs(60);

fn alice() -> CallContext {
    CallContext::new(Principal::new("alice").unwrap()).with_timeout(Duration::from_secs(20))
}

fn arguments(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

async fn call(
    server: &HttpServer,
    listing: &ToolListing,
    tool: &str,
    given: &Value,
    context: &CallContext,
) -> Result<mcp_core::ToolOutput, mcp_core::Error> {
    let tool = listing.tools.iter().find(|known| known.name() == tool);
    let arguments = arguments(given);
    let call = ToolCall::new(tool.unwrap(), &arguments);
    server.call_tool(call, context).await
}

#[tokio::test]
async fn a_session_is_opened_used_and_ended() {
    let everything = EverythingServer::streamable_http();
    let server = HttpServer::builder(everything.url()).build().unwrap();
    let listing = server.list_tools(&alice()).await.unwrap();
    assert_eq!(listing.server.name, "mcp-servers/everything");
    assert_eq!(listing.server.protocol, Some(ProtocolVersion::V2025_11_25));
    assert_eq!(listing.server.transport, Some(Transport::StreamableHttp));
    assert!(listing.tools.len() > 5, "{listing:?}");

    let output = call(
        &server,
        &listing,
        "echo",
        &json!({"message": "hi"}),
        &alice(),
    )
    .await;
    assert_eq!(output.unwrap().text(), "Echo: hi");
    let wrong = call(&server, &listing, "echo", &json!({}), &alice())
        .await
        .unwrap();
    assert!(wrong.is_error());

    server.close(&alice()).await;
    // The session is gone at the server; the next call opens another.
    let output = call(
        &server,
        &listing,
        "echo",
        &json!({"message": "again"}),
        &alice(),
    )
    .await;
    assert_eq!(output.unwrap().text(), "Echo: again");
}

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<f64>>);

impl ProgressHandler for Seen {
    fn progress(&self, update: ProgressUpdate<'_>) {
        self.0.lock().unwrap().push(update.progress);
    }
}

#[tokio::test]
async fn progress_is_told_while_the_call_runs() {
    let everything = EverythingServer::streamable_http();
    let server = HttpServer::builder(everything.url()).build().unwrap();
    let listing = server.list_tools(&alice()).await.unwrap();
    let seen = Arc::new(Seen::default());
    let context = alice().with_progress(Arc::clone(&seen) as Arc<dyn ProgressHandler>);
    let steps = json!({"duration": 0.2, "steps": 3});
    let output = call(
        &server,
        &listing,
        "trigger-long-running-operation",
        &steps,
        &context,
    )
    .await;
    assert!(!output.unwrap().is_error());
    assert_eq!(*seen.0.lock().unwrap(), [1.0, 2.0, 3.0]);
}

#[tokio::test]
async fn resources_and_prompts_go_through_the_same_way() {
    let everything = EverythingServer::streamable_http();
    let server = HttpServer::builder(everything.url()).build().unwrap();
    let prompts = server.request("prompts/list", &Map::new(), &alice()).await;
    assert!(prompts.unwrap().get().contains("\"prompts\""));
    let unknown = server.request("nope/nope", &Map::new(), &alice()).await;
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::Protocol);
}

/// Hands out tokens of a real issuer, an expired one first.
#[derive(Debug)]
struct Rotating {
    tokens: Mutex<Vec<String>>,
}

impl CredentialProvider for Rotating {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let token = self.tokens.lock().unwrap().first().unwrap().clone();
        MaybeReady::ready(Credentials::bearer(token).map_err(Into::into))
    }

    fn rejected<'a>(
        &'a self,
        rejection: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        assert_eq!(rejection.status, 401);
        assert!(rejection.challenges.iter().any(|it| it.is("Bearer")));
        self.tokens.lock().unwrap().remove(0);
        MaybeReady::ready(Ok(Recovery::Retry))
    }
}

#[tokio::test]
async fn an_expired_token_is_replaced_within_the_call() {
    let fastmcp = FastMcpServer::start();
    let jwt = fastmcp.jwt();
    let good = |scopes| jwt.mint("test-user-alice", MINUTE, scopes);
    let expired = jwt.mint_expired("test-user-alice");
    let tokens = Mutex::new(vec![expired.clone(), good(&[]), good(&["tools:write"])]);
    let provider = Arc::new(Rotating { tokens });
    let server = HttpServer::builder(fastmcp.url())
        .credentials(Arc::clone(&provider) as _)
        .build()
        .unwrap();
    let listing = server.list_tools(&alice()).await.unwrap();
    assert_eq!(listing.server.protocol, Some(ProtocolVersion::V2026_07_28));
    assert_eq!(listing.server.name, "testbed-jwt");

    provider.tokens.lock().unwrap().insert(0, expired);
    let context = alice();
    let output = call(&server, &listing, "whoami", &json!({}), &context).await;
    assert_eq!(output.unwrap().text(), "test-user-alice");
    assert_eq!(context.report().attempts, 2);
}

#[tokio::test]
async fn both_dialects_of_one_server_agree() {
    let fastmcp = FastMcpServer::start();
    let token = fastmcp.jwt().mint("test-user-alice", MINUTE, &[]);
    for version in [
        ProtocolVersion::V2026_07_28,
        ProtocolVersion::V2025_11_25,
        ProtocolVersion::V2025_06_18,
        ProtocolVersion::V2025_03_26,
    ] {
        let server = HttpServer::builder(fastmcp.url())
            .credentials(Arc::new(Bearer::new(token.clone()).unwrap()))
            .protocol(Some(version))
            .build()
            .unwrap();
        let listing = server.list_tools(&alice()).await.unwrap();
        assert_eq!(listing.server.protocol, Some(version));
        let sum = call(&server, &listing, "add", &json!({"a": 2, "b": 3}), &alice()).await;
        assert_eq!(sum.unwrap().text(), "5", "{version}");
        server.close(&alice()).await;
    }
}

#[tokio::test]
async fn refused_tokens_are_named_and_not_shown() {
    let fastmcp = FastMcpServer::start();
    let anonymous = HttpServer::builder(fastmcp.url()).build().unwrap();
    let error = anonymous.list_tools(&alice()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(
        error.to_string().contains("no credentials were sent"),
        "{error}"
    );

    let server = HttpServer::builder(fastmcp.url())
        .credentials(Arc::new(Bearer::new("test-token-canary").unwrap()))
        .build()
        .unwrap();
    let error = server.list_tools(&alice()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(
        error.to_string().contains("a token with fingerprint"),
        "{error}"
    );
    assert!(
        !format!("{error} {error:?}").contains("canary"),
        "{error:?}"
    );
}

/// Each principal with a token of its own.
#[derive(Debug)]
struct PerUser(std::collections::HashMap<String, String>);

impl CredentialProvider for PerUser {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let token = self.0[request.principal.user()].clone();
        MaybeReady::ready(Credentials::bearer(token).map_err(Into::into))
    }
}

#[tokio::test]
async fn principals_share_a_server_and_nothing_else() {
    let fastmcp = FastMcpServer::start();
    let users = ["alice", "bob", "carol"];
    let tokens = users.map(|user| (user.to_owned(), fastmcp.jwt().mint(user, MINUTE, &[])));
    let provider = Arc::new(PerUser(tokens.into()));
    for version in [ProtocolVersion::V2026_07_28, ProtocolVersion::V2025_11_25] {
        let server = HttpServer::builder(fastmcp.url())
            .credentials(Arc::clone(&provider) as _)
            .protocol(Some(version))
            .build()
            .unwrap();
        let listing = server.list_tools(&alice()).await.unwrap();
        let mut calls = tokio::task::JoinSet::new();
        for round in 0..30 {
            let user = users[round % users.len()];
            let (server, listing) = (server.clone(), listing.clone());
            calls.spawn(async move {
                let context = CallContext::new(Principal::new(user).unwrap())
                    .with_timeout(Duration::from_secs(20));
                let who = call(&server, &listing, "whoami", &json!({}), &context).await;
                (user, who.unwrap().text())
            });
        }
        while let Some(answered) = calls.join_next().await {
            let (user, who) = answered.unwrap();
            assert_eq!(user, who, "{version}");
        }
    }
}
