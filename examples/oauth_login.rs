//! A user consents in a browser: the call says that it needs that, and goes on afterwards.
//!
//! `cargo run --example oauth_login`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::time::Duration;

use mcp_auth::{Principal, ServerId};
use mcp_core::ErrorKind;
use mcp_http::{HttpClient, HttpRequest, HttpUrl};
use mcp_testbed::oauth::AuthServer;
use mcp_toolkit::load_mcp_tools_http;
use mcp_toolkit::oauth::{AuthorizationRequest, OAuth};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = AuthServer::start().await;
    let alice = Principal::new("alice")?;
    let oauth = OAuth::builder(ServerId::new("notes")?, HttpUrl::parse(&server.url())?).build();
    let load = || {
        load_mcp_tools_http(server.url())
            .named("notes")
            .principal(&alice)
            .credentials(oauth.clone())
    };

    // Nobody has consented yet: an unattended process is told so, as data.
    match load().await {
        Err(error) if error.kind() == ErrorKind::NeedsAuthorization => println!("{error}"),
        other => return Err(format!("a login was expected to be needed: {other:?}").into()),
    }

    // A command line listens on loopback for the browser to come back.
    let (give, taken) = tokio::sync::oneshot::channel();
    let login = oauth.login(
        &alice,
        AuthorizationRequest::new(),
        Duration::from_secs(10),
        |prompt| {
            println!(
                "open {}",
                prompt.authorize_url.split('?').next().unwrap_or_default()
            );
            let _ = give.send(prompt.authorize_url.clone());
        },
    );
    let (authorized, browser) = tokio::join!(login, async { browse(&taken.await?).await });
    browser?;
    println!("{} has authorized at {}", alice, authorized?.issuer);

    println!("{} tools", load().await?.len());
    let left = oauth.logout(&alice).await?;
    println!("logged out: {left:?}");
    Ok(())
}

/// What the user's browser does: opens the page, and goes where it is sent.
async fn browse(url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let client = HttpClient::new();
    let page = client.send(HttpRequest::get(&HttpUrl::parse(url)?)).await?;
    let back = page
        .headers()
        .get("location")
        .ok_or("the page does not lead back")?;
    client
        .send(HttpRequest::get(&HttpUrl::parse(back.to_str()?)?))
        .await?;
    Ok(())
}
