//! Headers of any kind, all of them secrets, and one that is new at every request.
//!
//! `cargo run --example custom_headers`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_toolkit::auth::{Credentials, from_fn};
use mcp_toolkit::load_mcp_tools_http;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = EmbeddedServer::start(Duration::from_secs(60)).await?;
    let token = server.tokens().issue("alice").access;

    let requests = AtomicU32::new(0);
    let trace = from_fn(move |_| {
        let id = format!("trace-{}", requests.fetch_add(1, Ordering::Relaxed));
        Ok(Credentials::builder()
            .volatile_header("X-Trace-Id", id)?
            .build()?)
    });
    let tools = load_mcp_tools_http(server.url())
        .headers([
            ("Authorization", format!("Bearer {token}")),
            ("X-Tenant-Id", "acme".into()),
        ])
        .credentials(trace)
        .await?;
    println!("{}", tools.get("whoami")?.call(()).await?.text());

    for request in server.seen() {
        let trace = request
            .headers
            .get("x-trace-id")
            .and_then(|value| value.to_str().ok());
        println!(
            "{} came with {}",
            request.method,
            trace.unwrap_or("no trace")
        );
    }
    let refused = load_mcp_tools_http(server.url())
        .header("X-Key", "a\r\nX-Evil: b")
        .await;
    if let Err(error) = refused {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        println!(
            "a line break is refused: {error}: {}",
            cause.unwrap_or_default()
        );
    }
    Ok(())
}
