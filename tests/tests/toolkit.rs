//! The long-lived handle: many users, several servers, some of them down, through logins and
//! logouts.
#![expect(
    clippy::unwrap_used,
    clippy::similar_names,
    reason = "a test's panic is its report, and an issuer has issued"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use mcp_testbed::embedded::{EmbeddedServer, TokenIssuer};
use mcp_testbed::fault::{FaultServer, Request, Wire};
use mcp_toolkit::adapter::ToolSet;
use mcp_toolkit::auth::{
    AuthorizationRequired, CredentialError, CredentialProvider, CredentialRequest, Credentials,
    Headers, MaybeReady, MemoryStore, PerPrincipal, Principal, RefreshingToken, Save,
    SharedProvider, SharedStore, Token, TokenContext, TokenKey, TokenStore,
};
use mcp_toolkit::cache::ToolCache;
use mcp_toolkit::config::Config;
use mcp_toolkit::core::{Error, ErrorKind};
use mcp_toolkit::{
    HttpLoader, McpToolkit, PrincipalTools, ServerTools, load_mcp_tools_http, load_mcp_tools_stdio,
};
use serde_json::json;
use tokio::sync::Semaphore;

const LONG: Duration = Duration::from_secs(3600);

fn who(user: &str) -> Principal {
    Principal::in_tenant("acme", user).unwrap()
}

/// A token of its own for each user, fetched when it is needed.
fn per_user(issuer: TokenIssuer) -> PerPrincipal {
    PerPrincipal::new(move |_, principal: &Principal| {
        let (issuer, user) = (issuer.clone(), principal.user().to_owned());
        Ok(RefreshingToken::new(move |_: TokenContext| {
            let issued = issuer.issue(&user);
            async move { Ok(Token::new(issued.access).expires_in(issued.expires_in)) }
        }))
    })
}

fn embedded(server: &EmbeddedServer) -> HttpLoader {
    load_mcp_tools_http(server.url())
        .credentials(per_user(server.tokens()))
        .header("X-Tenant-Id", "acme")
}

/// A port that nobody listens at.
fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/mcp", listener.local_addr().unwrap())
}

async fn say(tools: &ToolSet, name: &str) -> Result<String, Error> {
    Ok(tools.get(name)?.call(json!({})).await?.text())
}

fn states(tools: &PrincipalTools) -> Vec<(String, String)> {
    let state = |tools: &ServerTools| match tools {
        ServerTools::Active(tools) => format!("{} tools", tools.len()),
        ServerTools::Failed(error) => error.kind().as_str().to_owned(),
        ServerTools::NeedsAuthorization(_) => "needs authorization".to_owned(),
        _ => "?".to_owned(),
    };
    let servers = tools.servers();
    servers
        .map(|(id, tools)| (id.as_str().to_owned(), state(tools)))
        .collect()
}

fn is(found: &PrincipalTools, expected: &[(&str, &str)]) {
    let found = states(found);
    let found: Vec<_> = found
        .iter()
        .map(|(id, state)| (id.as_str(), state.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn two_users_have_what_works_and_hear_what_does_not() {
    let modern = EmbeddedServer::start(LONG).await.unwrap();
    let legacy = EmbeddedServer::start_with_sessions(LONG).await.unwrap();
    let toolkit = McpToolkit::builder()
        .server("modern", embedded(&modern).prefix("new_"))
        .server("dead", load_mcp_tools_http(closed_port()))
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
    assert!(took >= bound && took < bound * 10, "{took:?}");
    assert_eq!(tools.active().count(), 19);
    let failed: Vec<_> = tools
        .failed()
        .map(|(id, error)| (id.as_str(), error.kind()))
        .collect();
    assert_eq!(failed, [("s7", ErrorKind::Timeout)]);

    // The failure is remembered, and the others are there: nobody waits again.
    let began = tokio::time::Instant::now();
    assert_eq!(toolkit.tools_for(&who("alice")).await.active().count(), 19);
    assert!(began.elapsed() < bound / 2, "{:?}", began.elapsed());
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

#[tokio::test]
async fn a_logout_leaves_nothing() {
    let server = EmbeddedServer::start_with_sessions(LONG).await.unwrap();
    let store: SharedStore = Arc::new(MemoryStore::new());
    let (issuer, kept) = (server.tokens(), Arc::clone(&store));
    let provider = PerPrincipal::new(move |server, principal: &Principal| {
        let (issuer, user) = (issuer.clone(), principal.user().to_owned());
        let token = RefreshingToken::new(move |_: TokenContext| {
            let issued = issuer.issue(&user);
            async move { Ok(Token::new(issued.access).expires_in(issued.expires_in)) }
        });
        Ok(token.store(Arc::clone(&kept), TokenKey::new(server, principal)))
    });
    let toolkit = McpToolkit::builder()
        .server(
            "notes",
            load_mcp_tools_http(server.url()).header("X-Tenant-Id", "acme"),
        )
        .credentials("notes", provider)
        .build()
        .unwrap();
    let (alice, bob) = (who("alice"), who("bob"));
    let old = toolkit.tools_for(&alice).await;
    let bobs = toolkit.tools_for(&bob).await;
    let id = &toolkit.servers()[0];
    let stored = |principal: &Principal| {
        let (store, key) = (Arc::clone(&store), TokenKey::new(id, principal));
        async move { store.load(&key).await.unwrap() }
    };
    assert!(stored(&alice).await.is_some());

    toolkit.logout(&alice, "notes").await.unwrap();
    assert!(stored(&alice).await.is_none());
    assert!(stored(&bob).await.is_some());
    assert_eq!(server.tokens().issued("alice"), 1);
    let seen = server.seen();
    let ended: Vec<_> = seen.iter().filter(|it| it.method == "DELETE").collect();
    assert_eq!(ended.len(), 1);
    let carried = ended[0].headers.get("authorization").unwrap();
    assert_eq!(carried, "Bearer test-token-alice-1");
    server.tokens().revoke("alice");

    // What she still holds is asked for a token anew; his is his.
    assert_eq!(say(old.tools(), "whoami").await.unwrap(), "alice of acme");
    assert_eq!(server.tokens().issued("alice"), 2);
    assert_eq!(say(bobs.tools(), "whoami").await.unwrap(), "bob of acme");
    assert_eq!(server.tokens().issued("bob"), 1);

    let lists = |server: &EmbeddedServer| {
        let seen = server.seen();
        seen.iter().filter(|it| it.method == "tools/list").count()
    };
    let before = lists(&server);
    toolkit.tools_for(&bob).await;
    assert_eq!(lists(&server), before);
    toolkit.tools_for(&alice).await;
    assert_eq!(lists(&server), before + 1);

    let unknown = toolkit.logout(&alice, "mail").await.unwrap_err();
    assert_eq!(unknown.errors()[0].kind(), ErrorKind::UnknownServer);
}

/// A store that cannot delete.
#[derive(Debug, Default)]
struct Stubborn(MemoryStore);

impl TokenStore for Stubborn {
    fn load<'a>(
        &'a self,
        key: &'a TokenKey,
    ) -> MaybeReady<'a, Result<Option<mcp_toolkit::auth::StoredToken>, mcp_toolkit::auth::StoreError>>
    {
        self.0.load(key)
    }

    fn save<'a>(
        &'a self,
        key: &'a TokenKey,
        save: Save<'a>,
    ) -> MaybeReady<'a, Result<mcp_toolkit::auth::Saved, mcp_toolkit::auth::StoreError>> {
        self.0.save(key, save)
    }

    fn delete<'a>(
        &'a self,
        _: &'a TokenKey,
    ) -> MaybeReady<'a, Result<bool, mcp_toolkit::auth::StoreError>> {
        MaybeReady::ready(Err(mcp_toolkit::auth::StoreError::new(
            mcp_toolkit::auth::StoreErrorKind::Unavailable,
            "the disk is read-only",
        )))
    }

    fn lease<'a>(
        &'a self,
        key: &'a TokenKey,
        life: Duration,
    ) -> MaybeReady<'a, Result<Option<mcp_toolkit::auth::Lease>, mcp_toolkit::auth::StoreError>>
    {
        self.0.lease(key, life)
    }
}

#[tokio::test]
async fn a_logout_that_fails_in_part_does_the_rest_and_says_so() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let store: SharedStore = Arc::new(Stubborn::default());
    let issuer = server.tokens();
    let provider = PerPrincipal::new(move |server, principal: &Principal| {
        let issuer = issuer.clone();
        let token = RefreshingToken::new(move |_: TokenContext| {
            let issued = issuer.issue("alice");
            async move { Ok(Token::new(issued.access).expires_in(issued.expires_in)) }
        });
        Ok(token.store(Arc::clone(&store), TokenKey::new(server, principal)))
    });
    let toolkit = McpToolkit::builder()
        .server(
            "notes",
            load_mcp_tools_http(server.url()).header("X-Tenant-Id", "acme"),
        )
        .credentials("notes", provider)
        .build()
        .unwrap();
    let alice = who("alice");
    toolkit.tools_for(&alice).await;
    let loads = toolkit.cache().stats().loads;
    let error = toolkit.logout(&alice, "notes").await.unwrap_err();
    assert_eq!(error.errors().len(), 1);
    toolkit.tools_for(&alice).await;
    assert_eq!(toolkit.cache().stats().loads, loads + 1);
}

#[tokio::test]
async fn a_refused_call_forgets_what_its_user_could_see_there() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let token = server.tokens().issue("alice").access;
    let toolkit = McpToolkit::builder()
        .server(
            "notes",
            load_mcp_tools_http(server.url())
                .bearer(token)
                .header("X-Tenant-Id", "acme"),
        )
        .build()
        .unwrap();
    let (alice, bob) = (who("alice"), who("bob"));
    let hers = toolkit.tools_for(&alice).await;
    toolkit.tools_for(&bob).await;
    server.tokens().revoke("alice");
    let refused = say(hers.tools(), "whoami").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unauthorized);
    is(
        &toolkit.tools_for(&alice).await,
        &[("notes", "unauthorized")],
    );
    // Bob has the same token and has heard of nothing yet.
    is(&toolkit.tools_for(&bob).await, &[("notes", "4 tools")]);
}

#[tokio::test]
async fn a_notice_that_tools_changed_makes_the_next_request_load_anew() {
    let lists = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lists);
    let server = FaultServer::start(move |request: Request, mut wire: Wire| {
        let counted = Arc::clone(&counted);
        async move {
            match request.rpc_method().as_str() {
                "tools/list" => {
                    counted.fetch_add(1, Ordering::SeqCst);
                    wire.modern(&request).await.then_some(wire)
                }
                "tools/call" => {
                    let notice = json!({"jsonrpc": "2.0",
                        "method": "notifications/tools/list_changed"});
                    let done = json!({"resultType": "complete",
                        "content": [{"type": "text", "text": "done"}]});
                    wire.events("").await;
                    wire.event(&notice.to_string()).await;
                    wire.event(&request.result(&done)).await;
                    None
                }
                _ => wire.modern(&request).await.then_some(wire),
            }
        }
    })
    .await;
    let toolkit = McpToolkit::builder()
        .server("s", load_mcp_tools_http(server.url()))
        .build()
        .unwrap();
    let alice = who("alice");
    let tools = toolkit.tools_for(&alice).await;
    toolkit.tools_for(&alice).await;
    assert_eq!(lists.load(Ordering::SeqCst), 1);
    say(tools.tools(), "echo").await.unwrap();
    toolkit.tools_for(&alice).await;
    assert_eq!(lists.load(Ordering::SeqCst), 2);
    // A server that says so all the time is not believed all the time.
    say(tools.tools(), "echo").await.unwrap();
    toolkit.tools_for(&alice).await;
    assert_eq!(lists.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_others_forget_in_the_cache_is_not_given_any_more() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let cache = ToolCache::new();
    let toolkit = McpToolkit::builder()
        .server("notes", embedded(&server))
        .cache(&cache)
        .build()
        .unwrap();
    let alice = who("alice");
    toolkit.tools_for(&alice).await;
    toolkit.tools_for(&alice).await;
    assert_eq!(cache.stats().loads, 1);
    cache.invalidate_principal(&alice).await;
    toolkit.tools_for(&alice).await;
    assert_eq!(cache.stats().loads, 2);
}

#[tokio::test]
async fn a_shutdown_lets_calls_finish_ends_sessions_and_refuses_what_comes_later() {
    let server = EmbeddedServer::start_with_sessions(LONG).await.unwrap();
    let toolkit = McpToolkit::builder()
        .server("notes", embedded(&server))
        .build()
        .unwrap();
    let (alice, bob) = (who("alice"), who("bob"));
    let hers = toolkit.tools_for(&alice).await;
    toolkit.tools_for(&bob).await;
    let slow = hers.tools().get("slow").unwrap();
    let calling = tokio::spawn(async move { slow.call(json!({"milliseconds": 300})).await });
    while !server.seen().iter().any(|it| it.method == "initialize") {
        tokio::task::yield_now().await;
    }
    // Begun: the tracker counts it before anything is sent.
    tokio::task::yield_now().await;
    toolkit.shutdown(Duration::from_secs(10)).await;
    assert_eq!(calling.await.unwrap().unwrap().text(), "at last");
    let seen = server.seen();
    let ended = seen.iter().filter(|it| it.method == "DELETE").count();
    assert_eq!(ended, 2);
    let error = say(hers.tools(), "whoami").await.unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
    is(&toolkit.tools_for(&alice).await, &[("notes", "config")]);
}

#[tokio::test]
async fn a_load_under_way_at_a_logout_is_not_kept() {
    let (asked, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (told, may) = (Arc::clone(&asked), Arc::clone(&go));
    let server = FaultServer::start(move |request: Request, mut wire: Wire| {
        let (told, may) = (Arc::clone(&told), Arc::clone(&may));
        async move {
            if request.rpc_method() == "tools/list" {
                told.add_permits(1);
                may.acquire().await.unwrap().forget();
            }
            wire.modern(&request).await.then_some(wire)
        }
    })
    .await;
    let toolkit = McpToolkit::builder()
        .server("s", load_mcp_tools_http(server.url()))
        .build()
        .unwrap();
    let alice = who("alice");
    let loading = tokio::spawn({
        let (toolkit, alice) = (toolkit.clone(), alice.clone());
        async move { toolkit.tools_for(&alice).await }
    });
    asked.acquire().await.unwrap().forget();
    toolkit.logout(&alice, "s").await.unwrap();
    go.add_permits(2);
    is(&loading.await.unwrap(), &[("s", "1 tools")]);
    toolkit.tools_for(&alice).await;
    assert_eq!(server.count("tools/list"), 2);
}

const CHILDS_TOKEN: &str = "TOOLKIT_TEST_CHILDS_TOKEN";

/// Not a test: what the children of the next one run.
#[test]
#[ignore = "is run as a child process"]
fn be_the_child() {
    let Ok(token) = std::env::var(CHILDS_TOKEN) else {
        return;
    };
    for line in std::io::stdin().lines() {
        let request: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let result = match request["method"].as_str().unwrap_or_default() {
            "server/discover" => json!({"resultType": "complete",
                "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
                "ttlMs": 60_000, "cacheScope": "public"}),
            "tools/list" => json!({"resultType": "complete",
                "tools": [{"name": "whoami", "inputSchema": {"type": "object"}}]}),
            _ => json!({"resultType": "complete",
                "content": [{"type": "text", "text": format!("{token} {}", std::process::id())}]}),
        };
        let answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
        println!("{answer}");
    }
}

#[cfg(target_os = "linux")]
fn lives(pid: &str) -> bool {
    std::path::Path::new("/proc").join(pid).exists()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn each_user_has_a_child_which_ends_with_the_logout_or_the_toolkit() {
    let server = EmbeddedServer::start(LONG).await.unwrap();
    let credential: SharedProvider = Arc::new(per_user(server.tokens()));
    let program = std::env::current_exe().unwrap();
    let child = load_mcp_tools_stdio(program.to_str().unwrap())
        .args(["be_the_child", "--exact", "--ignored", "--nocapture"])
        .env(CHILDS_TOKEN, credential);
    let toolkit = McpToolkit::builder().server("c", child).build().unwrap();
    let (alice, bob) = (who("alice"), who("bob"));
    let ask = async |principal| {
        let tools = toolkit.tools_for(principal).await;
        say(tools.tools(), "whoami").await.unwrap()
    };
    let (hers, his) = tokio::join!(ask(&alice), ask(&bob));
    let (her_token, her_pid) = hers.split_once(' ').unwrap();
    let (his_token, his_pid) = his.split_once(' ').unwrap();
    assert_eq!(her_token, "test-token-alice-1");
    assert_eq!(his_token, "test-token-bob-1");

    toolkit.logout(&alice, "c").await.unwrap();
    assert!(!lives(her_pid) && lives(his_pid));
    let again = ask(&alice).await;
    let (token, pid) = again.split_once(' ').unwrap();
    assert_eq!(token, "test-token-alice-2");

    drop(toolkit);
    let gone = async {
        while lives(pid) || lives(his_pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .expect("the children outlive the toolkit");
}

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
