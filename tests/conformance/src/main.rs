//! The client that the official MCP conformance suite drives: lists the tools of the server whose URL
//! is its last argument, and calls them.
//!
//! It knows no scenario. What it is given (credentials, calls to make) comes in the variable
//! `MCP_CONFORMANCE_CONTEXT`; everything else is the library's own behaviour.
#![forbid(unsafe_code)]

mod browser;
mod credentials;
mod drive;
mod form;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use mcp_core::ServerId;
use mcp_http::{HttpClient, HttpServer, HttpUrl};
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "this is a command")]
            {
                eprintln!("{error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let url = std::env::args()
        .next_back()
        .context("give the server's URL")?;
    let context = credentials::Context::from_environment()?;
    let client = HttpClient::new();
    let id = ServerId::new("conformance")?;
    let provider = context.provider(id.clone(), HttpUrl::parse(&url)?, client.clone());
    let mut server = HttpServer::builder(&url);
    if let Some(extension) = provider.extension() {
        server = server.extension(extension);
    }
    let server = server
        .id(id)
        .client(client)
        .credentials(Arc::new(provider))
        .input(Arc::new(form::AcceptDefaults))
        .build()?;
    drive::drive(&server, &context).await
}
