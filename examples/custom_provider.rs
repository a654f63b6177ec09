//! A provider of your own: one token per user, out of the platform's vault.
//!
//! `cargo run --example custom_provider`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::time::Duration;

use mcp_testbed::embedded::{EmbeddedServer, TokenIssuer};
use mcp_toolkit::auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady,
};
use mcp_toolkit::load_mcp_tools_http;

/// What a platform team writes. It is asked at every request, so it may answer otherwise each time;
/// `MaybeReady::ready` is for what needs no waiting.
#[derive(Debug)]
struct Vault(TokenIssuer);

impl CredentialProvider for Vault {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        MaybeReady::new(async move {
            let token = self.0.issue(request.principal.user()).access;
            Ok(Credentials::bearer(token)?)
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = EmbeddedServer::start(Duration::from_secs(60)).await?;
    for user in ["alice", "bob"] {
        let tools = load_mcp_tools_http(server.url())
            .principal(user)
            .credentials(Vault(server.tokens()))
            .header("X-Tenant-Id", "acme")
            .await?;
        println!("{}", tools.get("whoami")?.call(()).await?.text());
    }
    Ok(())
}
