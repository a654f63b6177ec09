//! What the seed of this project promises, through the facade, against an embedded server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_testbed::embedded::{EmbeddedServer, TokenIssuer};
use mcp_testbed::{ClosedPort, shown};
use mcp_toolkit::adapter::{AgentTool, Flow, Middleware, ToolInvocation, ToolSet};
use mcp_toolkit::auth::{Bearer, MaybeReady, Principal, RefreshingToken, Token, TokenContext};
use mcp_toolkit::cache::ToolCache;
use mcp_toolkit::core::{Error, ErrorKind, ProtocolVersion, ToolOutput};
use mcp_toolkit::middleware::Audit;
use mcp_toolkit::{HttpLoader, load_mcp_tools_http, load_mcp_tools_stdio};
use serde_json::json;

const LONG: Duration = Duration::from_secs(3600);

fn refreshing(issuer: TokenIssuer, user: &'static str) -> RefreshingToken {
    RefreshingToken::new(move |_: TokenContext| {
        let token = issuer.issue(user);
        async move { Ok(Token::new(token.access).expires_in(token.expires_in)) }
    })
}

fn load(server: &EmbeddedServer, user: &'static str) -> HttpLoader {
    load_mcp_tools_http(server.url())
        .principal(user)
        .credentials(refreshing(server.tokens(), user))
        .header("X-Tenant-Id", "acme")
}

async fn say(tools: &ToolSet, name: &str) -> Result<String, Error> {
    Ok(tools.get(name)?.call(json!({})).await?.text())
}

#[tokio::test]
async fn credentials_ride_on_every_request_in_both_eras() {
    let modern = EmbeddedServer::start(LONG).await.unwrap();
    let legacy = EmbeddedServer::start_with_sessions(LONG).await.unwrap();
    for (server, version) in [
        (&modern, ProtocolVersion::V2026_07_28),
        (&legacy, ProtocolVersion::V2025_11_25),
    ] {
        let token = server.tokens().issue("alice").access;
        let tools = load_mcp_tools_http(server.url())
            .bearer(format!("Bearer {token}"))
            .headers([("X-Tenant-Id", "acme"), ("X-Trace-Id", "test-trace")])
            .await
            .unwrap();
        assert_eq!(tools.server_info().unwrap().protocol, Some(version));
        assert_eq!(tools.server_info().unwrap().name, "embedded");
        assert_eq!(say(&tools, "whoami").await.unwrap(), "alice of acme");
        let seen = server.seen();
        let methods: Vec<_> = seen.iter().map(|request| request.method.as_str()).collect();
        assert!(
            methods.contains(&"tools/list") && methods.contains(&"tools/call"),
            "{methods:?}"
        );
        for request in &seen {
            let header = |name| {
                request
                    .headers
                    .get(name)
                    .map(|value| value.to_str().unwrap())
            };
            assert_eq!(
                header("authorization"),
                Some(format!("Bearer {token}").as_str())
            );
            assert_eq!(header("x-tenant-id"), Some("acme"), "{}", request.method);
            assert_eq!(
                header("x-trace-id"),
                Some("test-trace"),
                "{}",
                request.method
            );
            assert_eq!(request.headers.get_all("authorization").iter().count(), 1);
        }
    }
}

#[tokio::test]
async fn a_revoked_token_is_replaced_and_the_call_repeated_unseen() {
    for server in [
        EmbeddedServer::start(LONG).await.unwrap(),
        EmbeddedServer::start_with_sessions(LONG).await.unwrap(),
    ] {
        let tools = load(&server, "alice").await.unwrap();
        server.tokens().revoke("alice");
        assert_eq!(say(&tools, "read-notes").await.unwrap(), "buy milk");
        assert_eq!(server.tokens().issued("alice"), 2);
        let calls: Vec<_> = server
            .seen()
            .into_iter()
            .filter(|request| request.method == "tools/call")
            .map(|request| request.status)
            .collect();
        assert_eq!(calls, [401, 200]);
    }
}

#[tokio::test]
async fn a_lost_session_is_opened_again() {
    let server = EmbeddedServer::start_with_sessions(LONG).await.unwrap();
    let tools = load(&server, "alice").await.unwrap();
    server.forget_sessions();
    assert_eq!(say(&tools, "read-notes").await.unwrap(), "buy milk");
}

#[tokio::test]
async fn two_users_never_share_what_is_cached() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let cache = ToolCache::new();
    // The same token for both: the user alone must tell them apart.
    let token = server.tokens().issue("alice").access;
    let load = |user: &'static str| {
        load_mcp_tools_http(server.url())
            .principal(Principal::in_tenant("acme", user).unwrap())
            .credentials(Bearer::new(token.clone()).unwrap())
            .header("X-Tenant-Id", "acme")
            .cache(&cache)
    };
    load("alice").await.unwrap();
    load("bob").await.unwrap();
    assert_eq!(cache.stats().loads, 2);

    let before = server.seen().len();
    load("alice").await.unwrap();
    assert_eq!(cache.stats().loads, 2);
    assert_eq!(server.seen().len(), before, "a hit asks the server nothing");
}

#[tokio::test]
async fn users_see_their_own_tools_and_results() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let cache = ToolCache::new();
    let alice = load(&server, "alice").cache(&cache).await.unwrap();
    let bob = load(&server, "bob").cache(&cache).await.unwrap();
    assert_eq!(say(&alice, "whoami").await.unwrap(), "alice of acme");
    assert_eq!(say(&bob, "whoami").await.unwrap(), "bob of acme");
    let error = bob.get("read-notes").map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTool);
    let names: Vec<_> = bob.iter().map(|tool| tool.name().to_owned()).collect();
    assert_eq!(names, ["whoami", "add", "slow", "book_room"]);
    let tool = bob.get("book_room").unwrap();
    assert_eq!(
        (tool.remote_name(), tool.param_model_name()),
        ("book.room", "MCP_book.room_Input")
    );
}

/// Sees what the page's middleware sees.
#[derive(Debug, Default)]
struct Seen(Arc<Mutex<Vec<(String, String)>>>);

impl Middleware for Seen {
    fn before_tool_call<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
    ) -> MaybeReady<'a, Result<Flow, Error>> {
        let pair = (call.name().to_owned(), call.param_model_name().to_owned());
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(pair);
        MaybeReady::ready(Ok(Flow::Continue))
    }
}

#[tokio::test]
async fn middleware_tells_mcp_tools_from_hand_written_ones() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let seen = Arc::default();
    let tools = load(&server, "alice")
        .middleware(Audit::new())
        .middleware(Seen(Arc::clone(&seen)))
        .await
        .unwrap();
    say(&tools, "whoami").await.unwrap();

    let schema = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
    let shout = |arguments: serde_json::Map<String, serde_json::Value>| async move {
        let text = arguments["text"]
            .as_str()
            .unwrap_or_default()
            .to_uppercase();
        Ok::<_, Error>(ToolOutput::from(text))
    };
    let by_hand = AgentTool::local("shout", "Shouts.", &schema, shout)
        .unwrap()
        .with_middleware(Audit::new())
        .with_middleware(Seen(Arc::clone(&seen)));
    assert_eq!(
        by_hand.call(json!({ "text": "hey" })).await.unwrap().text(),
        "HEY"
    );

    let seen = seen.lock().unwrap();
    assert_eq!(
        seen[0],
        ("whoami".to_owned(), "MCP_whoami_Input".to_owned())
    );
    assert_eq!(seen[1].0, "shout");
    assert!(!seen[1].1.starts_with("MCP_"), "{seen:?}");
}

#[tokio::test]
async fn every_mistake_is_told_apart_and_tells_no_secret() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let closed = ClosedPort::new();
    let canary = "canary-5b1f9a";
    let failure = |loaded: Result<ToolSet, Error>| loaded.map(|_| ()).unwrap_err();
    let http = |url: &str| {
        load_mcp_tools_http(url)
            .bearer(canary)
            .header("X-Tenant-Id", "acme")
    };

    let malformed = failure(http(&format!("http//nowhere?key={canary}")).await);
    let userinfo = failure(http(&format!("http://user:{canary}@127.0.0.1/mcp")).await);
    let line_break = failure(
        http(server.url())
            .header("X-Key", format!("{canary}\r\nX: 1"))
            .await,
    );
    let reserved = failure(http(server.url()).header("Mcp-Session-Id", canary).await);
    let twice = failure(http(server.url()).header("Authorization", canary).await);
    let absent = failure(http(&closed.url()).await);
    let refused = failure(http(server.url()).await);
    let unset = failure(
        load_mcp_tools_stdio("cat")
            .env("KEY", canary)
            .env_from(["MCP_TOOLKIT_NO_SUCH_VARIABLE"])
            .await,
    );
    let missing = failure(
        load_mcp_tools_stdio("mcp-toolkit-no-such-program")
            .env("KEY", canary)
            .args(["-v"])
            .await,
    );
    let principal = failure(http(server.url()).principal("").await);

    let token = server.tokens().issue("alice").access;
    let tools = load_mcp_tools_http(server.url())
        .bearer(token)
        .header("X-Tenant-Id", "acme")
        .await
        .unwrap();
    let add = tools.get("add").unwrap();
    let arguments = add
        .call(json!({ "a": canary.repeat(100), "b": 1 }))
        .await
        .unwrap_err();

    for (error, kind, says) in [
        (&malformed, ErrorKind::Config, "URL"),
        (&userinfo, ErrorKind::Config, "URL"),
        (&line_break, ErrorKind::Config, "x-key"),
        (&reserved, ErrorKind::Config, "Mcp-Session-Id"),
        (&twice, ErrorKind::Config, "authorization"),
        (&absent, ErrorKind::Connect, "127.0.0.1"),
        (&refused, ErrorKind::Unauthorized, "401"),
        (&unset, ErrorKind::Config, "MCP_TOOLKIT_NO_SUCH_VARIABLE"),
        (&missing, ErrorKind::Connect, "mcp-toolkit-no-such-program"),
        (&principal, ErrorKind::Config, "empty"),
        (&arguments, ErrorKind::InvalidArguments, "/a"),
    ] {
        let shown = shown(error);
        assert_eq!(error.kind(), kind, "{shown}");
        assert!(
            shown.to_lowercase().contains(&says.to_lowercase()),
            "{says:?} in {shown}"
        );
        if kind != ErrorKind::InvalidArguments {
            assert!(!shown.contains(canary), "{shown}");
        }
    }
    let loader = format!("{:?}", http(server.url()).header("X-Key", canary));
    assert!(!loader.contains(canary), "{loader}");
}
