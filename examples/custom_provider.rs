//! A provider of your own: each user's key, out of the platform's own state.
//!
//! `cargo run --example custom_provider`
#![expect(clippy::print_stdout, reason = "an example tells what happens")]

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use mcp_toolkit::auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady,
};
use mcp_toolkit::load_mcp_tools_http;

/// What a platform team writes. It is asked at every request, so a key that is replaced counts from
/// the next one on; and it answers out of memory. Tokens that have to be fetched, from a vault or
/// an authorization server, want `RefreshingToken` around that: see the example `refreshing_token`.
#[derive(Clone, Debug, Default)]
struct Keys(Arc<RwLock<HashMap<String, Credentials>>>);

impl Keys {
    fn set(&self, user: &str, key: &str) -> Result<(), CredentialError> {
        // Made once: a request then copies pointers.
        let credentials = Credentials::bearer(key)?;
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(user.to_owned(), credentials);
        Ok(())
    }
}

impl CredentialProvider for Keys {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let hers = keys.get(request.principal.user()).cloned();
        // `MaybeReady::new` is for what needs waiting.
        MaybeReady::ready(hers.ok_or_else(|| CredentialError::misconfigured("there is no key")))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = EmbeddedServer::start(Duration::from_secs(60)).await?;
    let keys = Keys::default();
    for user in ["alice", "bob"] {
        keys.set(user, &server.tokens().issue(user).access)?;
        let tools = load_mcp_tools_http(server.url())
            .principal(user)
            .credentials(keys.clone())
            .header("X-Tenant-Id", "acme")
            .await?;
        println!("{}", tools.get("whoami")?.call(()).await?.text());
    }
    Ok(())
}
