//! Headers of any kind, all of them secrets, and one that is new at every request.
//!
//! `cargo run --example custom_headers`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_toolkit::load_mcp_tools_http;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = EmbeddedServer::start(Duration::from_secs(60)).await?;
    let token = server.tokens().issue("alice").access;

    let requests = AtomicU32::new(0);
    let tools = load_mcp_tools_http(server.url())
        .header("Authorization", format!("Bearer {token}"))
        .header("X-Tenant-Id", "acme")
        .header_from("X-Trace-Id", move || {
            format!("trace-{}", requests.fetch_add(1, Ordering::Relaxed))
        })
        .await?;
    println!("{}", tools.get("whoami")?.call(()).await?.text());
    for request in server.seen() {
        let trace = &request.headers["x-trace-id"];
        println!("{} came with {}", request.method, trace.to_str()?);
    }

    // A value that would smuggle in a header is refused before anything is sent, and not repeated.
    let smuggled = load_mcp_tools_http(server.url()).header("X-Key", "a\r\nX-Evil: b");
    if let Err(error) = smuggled.await {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        println!("refused: {error}: {}", cause.unwrap_or_default());
    }
    Ok(())
}
