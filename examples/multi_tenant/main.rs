//! A platform in small: three tenants, three MCP servers of which one is down, one HTTP service.
//!
//! `cargo run --example multi_tenant` starts it on a free port, plays its tenants and ends.
//! `cargo run --example multi_tenant -- --serve 127.0.0.1:8080` serves until Ctrl-C:
//!
//! ```console
//! $ curl -H 'Authorization: Bearer test-key-alice' http://127.0.0.1:8080/tools
//! $ curl -H 'Authorization: Bearer test-key-alice' -X POST http://127.0.0.1:8080/call/notes_whoami
//! ```
//!
//! `cargo run --example multi_tenant -- --replicas 3` starts three processes that share logins, rate
//! limits and what to forget through Redis: at `REDIS_URL`, or one that it starts.
//!
//! `platform` sets up the toolkit, `service` is the HTTP in front of it, `tenants` plays.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

mod platform;
mod replicas;
mod service;
mod tenants;

use std::error::Error;
use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use self::platform::Platform;

/// MCP servers in this process, in place of ones on the network.
struct McpServers {
    notes: EmbeddedServer,
    rooms: EmbeddedServer,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    mcp_examples::print_audit_events();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--replicas", count] => replicas::play(count.parse()?).await,
        ["--replica", calendar] => replicas::serve(calendar).await,
        ["--serve"] => alone(Some("127.0.0.1:0")).await,
        ["--serve", address] => alone(Some(address)).await,
        [] => alone(None).await,
        _ => Err("it takes --serve [ADDRESS] or --replicas COUNT".into()),
    }
}

/// One process with everything in it: serves at the address, or plays its tenants.
async fn alone(address: Option<&str>) -> Result<(), Box<dyn Error>> {
    let hour = Duration::from_secs(3600);
    let servers = McpServers {
        notes: EmbeddedServer::start(hour).await?,
        rooms: EmbeddedServer::start_with_sessions(hour).await?,
    };
    let platform = Platform::new(&servers)?;

    let listener = TcpListener::bind(address.unwrap_or("127.0.0.1:0")).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("serving at {url}");

    if address.is_some() {
        let interrupted = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
        return Ok(service::serve(listener, platform, interrupted).await?);
    }
    let (done, over) = oneshot::channel::<()>();
    let served = service::serve(listener, platform, async { over.await.unwrap_or_default() });
    let played = async {
        let played = tenants::play(&url, &servers).await;
        drop(done);
        played
    };
    let (served, played) = tokio::join!(served, played);
    played.and(Ok(served?))
}
