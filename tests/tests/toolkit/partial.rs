//! What works is there, and what does not is told beside it.

use std::sync::Arc;
use std::time::Duration;

use mcp_testbed::ClosedPort;
use mcp_testbed::embedded::EmbeddedServer;
use mcp_testbed::fault::{FaultServer, Request, Wire};
use mcp_toolkit::auth::{
    AuthorizationRequired, CredentialError, CredentialProvider, CredentialRequest, Credentials,
    Headers, MaybeReady, SharedProvider,
};
use mcp_toolkit::config::Config;
use mcp_toolkit::core::ErrorKind;
use mcp_toolkit::{McpToolkit, ServerTools, load_mcp_tools_http, load_mcp_tools_stdio};
use serde_json::json;

use crate::{LONG, embedded, is, per_user, say, who};

#[tokio::test]
async fn two_users_have_what_works_and_hear_what_does_not() {
    let modern = EmbeddedServer::start(LONG).await.unwrap();
    let legacy = EmbeddedServer::start_with_sessions(LONG).await.unwrap();
    let dead = ClosedPort::new();
    let toolkit = McpToolkit::builder()
        .server("modern", embedded(&modern).prefix("new_"))
        .server("dead", load_mcp_tools_http(dead.url()))
        .server("legacy", embedded(&legacy))
        .build()
        .unwrap();

    let (alice, bob) = (who("alice"), who("bob"));
    let (hers, his) = tokio::join!(toolkit.tools_for(&alice), toolkit.tools_for(&bob));
    for tools in [&hers, &his] {
        is(
            tools,
            &[
                ("modern", "4 tools"),
                ("dead", "connect"),
                ("legacy", "4 tools"),
            ],
        );
        assert_eq!(tools.tools().len(), 8);
    }
    for (tools, name) in [(&hers, "alice of acme"), (&his, "bob of acme")] {
        assert_eq!(say(tools.tools(), "new_whoami").await.unwrap(), name);
        assert_eq!(say(tools.tools(), "whoami").await.unwrap(), name);
    }
    assert!(hers.tools().find("new_read-notes").is_some());
    assert!(his.tools().find("new_read-notes").is_none());
    let (id, error) = hers.failed().next().unwrap();
    assert_eq!((id.as_str(), error.server()), ("dead", Some(id)));

    let asked = (modern.seen().len(), legacy.seen().len());
    is(
        &toolkit.tools_for(&alice).await,
        &[
            ("modern", "4 tools"),
            ("dead", "connect"),
            ("legacy", "4 tools"),
        ],
    );
    assert_eq!(asked, (modern.seen().len(), legacy.seen().len()));
}

/// The platform's own, which knows alice alone.
#[derive(Debug)]
struct OfAlice;

impl CredentialProvider for OfAlice {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let user = request.principal.user();
        assert_eq!(user, "alice", "no entry");
        MaybeReady::ready(Ok(Credentials::bearer("test-token-alice").unwrap()))
    }

    fn logged_out<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<(), CredentialError>> {
        #[expect(clippy::panic, reason = "a provider that has a fault")]
        MaybeReady::new(async { panic!("no entry") })
    }
}

#[tokio::test]
async fn a4_a_provider_that_panics_takes_no_other_server_with_it() {
    let good = FaultServer::modern().await;
    let toolkit = McpToolkit::builder()
        .server("given", load_mcp_tools_http(good.url()))
        .credentials("given", OfAlice)
        .server("good", load_mcp_tools_http(good.url()))
        .server("own", load_mcp_tools_http(good.url()).credentials(OfAlice))
        .build()
        .unwrap();
    let expected = |given| [("given", given), ("good", "1 tools"), ("own", given)];
    let (alice, bob) = (who("alice"), who("bob"));
    for _ in 0..2 {
        is(&toolkit.tools_for(&alice).await, &expected("1 tools"));
        let his = toolkit.tools_for(&bob).await;
        is(&his, &expected("credential_unavailable"));
    }
    for server in ["given", "own"] {
        let left = toolkit.logout(&alice, server).await.unwrap_err();
        assert_eq!(left.errors()[0].kind(), ErrorKind::CredentialUnavailable);
    }
    // Without a toolkit, and with a cache that asks first.
    let loading = load_mcp_tools_http(good.url()).credentials(OfAlice);
    let cache = mcp_toolkit::cache::ToolCache::new();
    let error = loading.principal(&bob).cache(&cache).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
    let provider: SharedProvider = Arc::new(OfAlice);
    let loading = load_mcp_tools_stdio("no-such-program").env("TOKEN", provider);
    let error = loading.principal(&bob).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
}

#[tokio::test]
async fn names_of_different_servers_do_not_collide() {
    let (one, other) = (
        EmbeddedServer::start(LONG).await.unwrap(),
        EmbeddedServer::start(LONG).await.unwrap(),
    );
    let toolkit = McpToolkit::builder()
        .server("one", embedded(&one))
        .server("other", embedded(&other))
        .build()
        .unwrap();
    let tools = toolkit.tools_for(&who("alice")).await;
    let mut names: Vec<_> = tools
        .tools()
        .iter()
        .map(|tool| tool.name().to_owned())
        .collect();
    assert_eq!(names.len(), 8);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 8);
}

#[tokio::test]
async fn one_of_twenty_that_hangs_holds_up_nobody_beyond_its_own_time() {
    let servers: Vec<FaultServer> = {
        let mut servers = Vec::new();
        for index in 0..20 {
            let hangs = index == 7;
            let script = move |request: Request, mut wire: Wire| async move {
                if hangs {
                    wire.closed().await;
                    return None;
                }
                wire.modern(&request).await.then_some(wire)
            };
            servers.push(FaultServer::start(script).await);
        }
        servers
    };
    let bound = Duration::from_millis(400);
    let mut builder = McpToolkit::builder();
    for (index, server) in servers.iter().enumerate() {
        let mut loader = load_mcp_tools_http(server.url());
        if index == 7 {
            loader = loader.timeout(bound);
        }
        builder = builder.server(format!("s{index}"), loader);
    }
    let toolkit = builder.build().unwrap();
    let began = tokio::time::Instant::now();
    let tools = toolkit.tools_for(&who("alice")).await;
    let took = began.elapsed();
    // Without a bound of its own it would have ten seconds.
    assert!(took >= bound && took < bound * 20, "{took:?}");
    assert_eq!(tools.active().count(), 19);
    let failed: Vec<_> = tools
        .failed()
        .map(|(id, error)| (id.as_str(), error.kind()))
        .collect();
    assert_eq!(failed, [("s7", ErrorKind::Timeout)]);

    // The failure is remembered, and the others are there: nobody waits again, nobody is asked.
    tokio::time::pause();
    let seen = || servers.iter().map(|it| it.seen().len()).sum::<usize>();
    let (began, asked) = (tokio::time::Instant::now(), seen());
    assert_eq!(toolkit.tools_for(&who("alice")).await.active().count(), 19);
    assert_eq!((began.elapsed(), seen()), (Duration::ZERO, asked));
}

#[tokio::test]
async fn a_file_gives_servers_and_its_mistakes_are_data() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let text = json!({"mcpServers": {
        "files": {"command": "mcp-toolkit-no-such-program"},
        "web": {"url": server.url(), "headers": {"X-Tenant-Id": "acme"}, "toolNamePrefix": "web_",
                "disabledTools": ["slow"]},
        "wrong": {"url": 7},
        "off": {"url": server.url(), "disabled": true},
    }})
    .to_string();
    let config = Config::parse(&text).unwrap();
    let builder = || {
        McpToolkit::builder()
            .config(&config)
            .credentials("web", per_user(server.tokens()))
    };
    let toolkit = builder().build().unwrap();
    let alice = who("alice");
    let tools = toolkit.tools_for(&alice).await;
    is(
        &tools,
        &[("files", "config"), ("web", "3 tools"), ("wrong", "config")],
    );
    let said = match tools.server("files").unwrap() {
        ServerTools::Failed(error) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(said.contains("allow_stdio"), "{said}");
    assert_eq!(
        say(tools.tools(), "web_whoami").await.unwrap(),
        "alice of acme"
    );

    let toolkit = builder().allow_stdio().build().unwrap();
    is(
        &toolkit.tools_for(&alice).await,
        &[
            ("files", "connect"),
            ("web", "3 tools"),
            ("wrong", "config"),
        ],
    );
}

#[tokio::test]
async fn mistakes_in_code_are_told_before_anything_is_sent() {
    let loader = || load_mcp_tools_http("https://mcp.example.com/mcp");
    let told = |builder: mcp_toolkit::McpToolkitBuilder| builder.build().unwrap_err().to_string();
    let twice = McpToolkit::builder()
        .server("a", loader())
        .server("a", loader());
    assert!(told(twice).contains("two servers are named `a`"));
    let nobody = McpToolkit::builder().credentials("a", Headers::new([("X-Key", "v")]).unwrap());
    assert!(told(nobody).contains("no server of that name"));
    let plain = McpToolkit::builder().server("a", load_mcp_tools_http("http://192.0.2.1/mcp"));
    assert!(told(plain).contains("plain HTTP"));
    let child = McpToolkit::builder()
        .server("a", load_mcp_tools_stdio("cat"))
        .credentials("a", Headers::new([("X-Key", "v")]).unwrap());
    assert!(told(child).contains("variable"));
}

/// Nobody has authorized anything yet.
#[derive(Debug)]
struct NoConsent;

impl CredentialProvider for NoConsent {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let required = AuthorizationRequired::new();
        MaybeReady::ready(Err(CredentialError::needs_authorization(required)))
    }
}

#[tokio::test]
async fn who_has_to_authorize_is_told_beside_the_tools_that_are_there() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let toolkit = McpToolkit::builder()
        .server("mail", load_mcp_tools_http(server.url()))
        .credentials("mail", NoConsent)
        .server("notes", embedded(&server))
        .build()
        .unwrap();
    let tools = toolkit.tools_for(&who("alice")).await;
    is(
        &tools,
        &[("mail", "needs authorization"), ("notes", "4 tools")],
    );
    assert_eq!(tools.needs_authorization().count(), 1);
}
