//! The whole of it in one run: two users with tokens that live two seconds, tools of each user's
//! own over HTTP, a child process, a cache, an audit trail. Nothing to configure.
//!
//! `cargo run --example quickstart`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::error::Error;
use std::time::Duration;

use mcp_testbed::embedded::{EmbeddedServer, serve_stdio};
use mcp_toolkit::auth::{CredentialEvent, RefreshingToken, Token, TokenContext};
use mcp_toolkit::cache::ToolCache;
use mcp_toolkit::middleware::Audit;
use mcp_toolkit::{Principal, ToolSet, load_mcp_tools_http, load_mcp_tools_stdio};
use serde_json::{Value, json};

/// How long a token of the embedded server lives.
const TOKEN_LIFETIME: Duration = Duration::from_secs(2);
/// With this argument the program is the child process of itself.
const BE_THE_CHILD: &str = "--serve-stdio";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|argument| argument == BE_THE_CHILD) {
        return Ok(serve_stdio().await?);
    }
    mcp_examples::print_audit_events();

    step("A server in this process that wants a bearer token, which lives 2 s, and X-Tenant-Id");
    let server = EmbeddedServer::start(TOKEN_LIFETIME).await?;
    let cache = ToolCache::new();
    println!("listening at {}", server.url());

    step("Two users load its tools, each with a token of their own");
    let alice = Principal::in_tenant("acme", "alice")?;
    let bob = Principal::in_tenant("globex", "bob")?;
    let (alices_token, bobs_token) = (token(&server, &alice), token(&server, &bob));
    let alices_tools = tools(&server, &alice, &alices_token, &cache).await?;
    let bobs_tools = tools(&server, &bob, &bobs_token, &cache).await?;

    step("Alice loads again: the cache has her tools, and only hers");
    tools(&server, &alice, &alices_token, &cache).await?;
    let statistics = cache.stats();
    println!("{} hit, {} misses", statistics.hits, statistics.misses);

    step("Both call, through the audit middleware");
    call(&alices_tools, "whoami", json!({})).await;
    call(&alices_tools, "read-notes", json!({})).await;
    let room = json!({ "site": "Zürich", "seats": 6 });
    call(&bobs_tools, "book_room", room).await;

    step("What is not Bob's is not there for him, and arguments that do not fit are not sent");
    call(&bobs_tools, "read-notes", json!({})).await;
    call(&bobs_tools, "add", json!({ "a": "one" })).await;

    step("The tokens end. The same tools are called again");
    tokio::time::sleep(TOKEN_LIFETIME + Duration::from_millis(100)).await;
    call(&alices_tools, "whoami", json!({})).await;
    call(&bobs_tools, "whoami", json!({})).await;

    step("Alice's token is revoked while it still seems good: a 401, a refresh, the call repeated");
    server.tokens().revoke("alice");
    call(&alices_tools, "read-notes", json!({})).await;

    step("A child process that sees a short list of variables and the one that it is given");
    let childs_tools = load_mcp_tools_stdio(std::env::current_exe()?.to_string_lossy())
        .named("child")
        .args([BE_THE_CHILD])
        .env("NOTES_TOKEN", "test-token-of-the-child")
        .middleware(Audit::new())
        .await?;
    call(&childs_tools, "environment", json!({})).await;

    step("What the server saw");
    let (seen, issued) = (server.seen(), server.tokens());
    let refused = seen.iter().filter(|request| request.status == 401).count();
    println!("{} requests, {refused} of them refused", seen.len());
    println!(
        "{} tokens for alice, {} for bob",
        issued.issued("alice"),
        issued.issued("bob")
    );
    Ok(())
}

/// A token that is fetched when it is needed and refreshed before it ends.
fn token(server: &EmbeddedServer, principal: &Principal) -> RefreshingToken {
    let (issuer, user) = (server.tokens(), principal.user().to_owned());
    let name = user.clone();
    RefreshingToken::new(move |_: TokenContext| {
        // Anybody's identity provider could be asked here.
        let token = issuer.issue(&user);
        async move { Ok(Token::new(token.access).expires_in(token.expires_in)) }
    })
    .on_event(move |event| {
        if let CredentialEvent::Refreshed { fingerprint, .. } = event {
            println!("  {name} has a new token, {fingerprint}");
        }
    })
}

/// The tools of a user, out of the cache where it has them.
async fn tools(
    server: &EmbeddedServer,
    principal: &Principal,
    token: &RefreshingToken,
    cache: &ToolCache,
) -> Result<ToolSet, Box<dyn Error>> {
    let tools = load_mcp_tools_http(server.url())
        .named("embedded")
        .principal(principal)
        .credentials(token.clone())
        .header("X-Tenant-Id", principal.tenant().unwrap_or_default())
        .middleware(Audit::new())
        .cache(cache)
        .await?;
    let names: Vec<_> = tools.iter().map(|tool| tool.name().to_owned()).collect();
    println!("{principal} has {}", names.join(", "));
    Ok(tools)
}

/// Calls a tool and tells what came of it.
async fn call(tools: &ToolSet, name: &str, arguments: Value) {
    let called = async { tools.get(name)?.call(arguments).await };
    match called.await {
        Ok(output) => println!("  {name} says: {}", output.text()),
        Err(error) => println!("  {name}: {error}"),
    }
}

fn step(what: &str) {
    println!("\n== {what}");
}
