//! `mcp-auth` alone: fresh credentials for an HTTP client of your own.
//!
//! `cargo run --example single_crate_auth`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::time::Duration;

use mcp_auth::{
    Combined, CredentialProvider, CredentialRequest, Headers, Principal, RefreshingToken, ServerId,
    Token, TokenContext,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let token = RefreshingToken::new(|_: TokenContext| async {
        println!("the source is asked");
        Ok(Token::new("test-token").expires_in(Duration::from_secs(300)))
    });
    let provider = Combined::new(token, Headers::new([("X-Tenant-Id", "acme")])?)?;

    let (server, principal) = (ServerId::new("billing")?, Principal::new("alice")?);
    for _ in 0..3 {
        // At every request. What is held is given at once, without waiting.
        let request = CredentialRequest::new(&server, &principal);
        let credentials = provider.credentials(request).await?;
        let headers = credentials.headers().iter();
        let names: Vec<_> = headers.map(|(name, _)| name.as_str()).collect();
        println!("send {}", names.join(", "));
        // What logs may say of them.
        println!("  known as {}", credentials.fingerprint());
    }
    Ok(())
}
