//! A platform in small: two tenants on three servers, one of which is down, through one handle.
//!
//! `cargo run --example multi_tenant`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::error::Error;
use std::time::Duration;

use mcp_testbed::embedded::{EmbeddedServer, TokenIssuer};
use mcp_toolkit::auth::{PerPrincipal, Principal, RefreshingToken, Token, TokenContext};
use mcp_toolkit::middleware::Audit;
use mcp_toolkit::{McpToolkit, PrincipalTools, ServerTools, load_mcp_tools_http};

/// Each user's own token, fetched from where the platform has it.
fn tokens(issuer: TokenIssuer) -> PerPrincipal {
    PerPrincipal::new(move |_server, principal| {
        let (issuer, user) = (issuer.clone(), principal.user().to_owned());
        Ok(RefreshingToken::new(move |_: TokenContext| {
            let token = issuer.issue(&user);
            async move { Ok(Token::new(token.access).expires_in(token.expires_in)) }
        }))
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    mcp_examples::print_audit_events();
    let notes = EmbeddedServer::start(Duration::from_secs(60)).await?;
    let rooms = EmbeddedServer::start_with_sessions(Duration::from_secs(60)).await?;
    let on = |server: &EmbeddedServer| {
        load_mcp_tools_http(server.url())
            .credentials(tokens(server.tokens()))
            .header("X-Tenant-Id", "acme")
    };
    let toolkit = McpToolkit::builder()
        .server("notes", on(&notes).prefix("notes_"))
        .server("rooms", on(&rooms).prefix("rooms_"))
        .server("down", load_mcp_tools_http("http://127.0.0.1:9/mcp"))
        .middleware(Audit::new())
        .build()?;

    let alice = Principal::in_tenant("acme", "alice")?;
    let bob = Principal::in_tenant("globex", "bob")?;
    for principal in [&alice, &bob] {
        println!("\n== {principal}");
        let tools = toolkit.tools_for(principal).await;
        tell(&tools);
        let output = tools.tools().get("notes_whoami")?.call(()).await?;
        println!("notes says: {}", output.text());
    }

    println!("\n== alice asks again: nothing is sent");
    let before = notes.seen().len();
    tell(&toolkit.tools_for(&alice).await);
    println!("{} requests", notes.seen().len() - before);

    println!("\n== alice logs out of rooms; her session there is ended, her token forgotten");
    toolkit.logout(&alice, "rooms").await?;
    tell(&toolkit.tools_for(&alice).await);
    println!(
        "rooms gave alice {} tokens, bob {}",
        rooms.tokens().issued("alice"),
        rooms.tokens().issued("bob")
    );

    toolkit.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

fn tell(tools: &PrincipalTools) {
    for (server, tools) in tools.servers() {
        match tools {
            ServerTools::Active(tools) => println!("{server}: {} tools", tools.len()),
            ServerTools::NeedsAuthorization(_) => println!("{server}: not connected yet"),
            ServerTools::Failed(error) => println!("{error}"),
            _ => {}
        }
    }
}
