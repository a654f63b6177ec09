//! A user consents in a browser: the call says that it needs that, and goes on afterwards.
//!
//! `cargo run --example oauth_login`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::time::Duration;

use mcp_testbed::oauth::AuthServer;
use mcp_toolkit::http::{HttpClient, HttpRequest, HttpUrl};
use mcp_toolkit::oauth::{AuthorizationRequest, OAuth};
use mcp_toolkit::{ErrorKind, Principal, ServerId, load_mcp_tools_http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // An authorization server and an MCP server that trusts it, in this process.
    let server = AuthServer::start().await;
    let alice = Principal::new("alice")?;
    let oauth = OAuth::builder(ServerId::new("notes")?, HttpUrl::parse(&server.url())?).build();
    let load = || {
        load_mcp_tools_http(server.url())
            .named("notes")
            .principal(&alice)
            .oauth(&oauth)
    };

    // Nobody has consented yet: an unattended process is told so, as data.
    match load().await {
        Err(error) if error.kind() == ErrorKind::NeedsAuthorization => println!("{error}"),
        other => return Err(format!("a login was expected to be needed: {other:?}").into()),
    }

    // A command line listens on loopback for the browser to come back. A web application gives its
    // own `redirect_uri`, and what arrives there to `OAuth::complete`.
    let (open, opened) = tokio::sync::oneshot::channel();
    let login = oauth.login(
        &alice,
        AuthorizationRequest::new(),
        Duration::from_secs(10),
        |prompt| {
            let page = prompt.authorize_url.split('?').next();
            println!("open {}", page.unwrap_or_default());
            let _ = open.send(prompt.authorize_url.clone());
        },
    );
    let (authorized, browser) = tokio::join!(login, async { browse(&opened.await?).await });
    browser?;
    println!("{alice} has authorized at {}", authorized?.issuer);

    let echo = load().await?.get("echo")?;
    println!("{}", echo.call(()).await?.text());
    let gone = oauth.logout(&alice).await?;
    println!("logged out, token revoked: {}", gone.revoked);
    Ok(())
}

/// What the user's browser does: opens the page, and goes where it is sent.
async fn browse(url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let client = HttpClient::new();
    let page = client.send(HttpRequest::get(&HttpUrl::parse(url)?)).await?;
    let back = page.headers().get("location");
    let back = back.ok_or("the page does not lead back")?.to_str()?;
    client
        .send(HttpRequest::get(&HttpUrl::parse(back)?))
        .await?;
    Ok(())
}
