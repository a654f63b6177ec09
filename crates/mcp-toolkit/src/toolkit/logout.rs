//! Ending what a principal has with a server.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_auth::CredentialError;
use mcp_core::{CallContext, Error, Failure, Principal, ToolServer};

use super::member::Member;
use super::{Inner, McpToolkit};

/// The time for ending a session or a child.
const GOODBYE: Duration = Duration::from_secs(10);
/// The time for giving up a token, its revocation included.
const FORGETTING: Duration = Duration::from_secs(30);

/// What of a logout did not work; everything else was done.
#[derive(Clone, Debug)]
pub struct LogoutError {
    errors: Vec<Error>,
}

impl LogoutError {
    /// Each part that failed.
    pub fn errors(&self) -> &[Error] {
        &self.errors
    }
}

impl fmt::Display for LogoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the logout is incomplete")
    }
}

impl StdError for LogoutError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let first = self.errors.first()?;
        Some(first)
    }
}

impl From<Error> for LogoutError {
    fn from(error: Error) -> Self {
        let errors = vec![error];
        Self { errors }
    }
}

impl McpToolkit {
    /// Logs a principal out of a server: ends its session or child, has its token revoked and
    /// deleted by the credential provider
    /// ([`CredentialProvider::logged_out`](mcp_auth::CredentialProvider::logged_out)), and forgets
    /// its tools. What fails does not stop the rest. Takes 50 s at most.
    ///
    /// With a [bus](super::McpToolkitBuilder::bus), other replicas are told as soon as the token is
    /// given up, and forget the same: tools, and tokens in memory. A replica that cannot hear of it
    /// goes on with the token that it holds, for as long as that lasts; what is revoked is worth
    /// nothing there either.
    ///
    /// Tools that the principal still has are asked for credentials anew when they are called: they
    /// fail, or begin a new authorization, as the provider has it.
    ///
    /// Runs to its end even if the future is dropped: the user has been told, or has closed the
    /// page. [`shutdown`](Self::shutdown) waits for it as for a call.
    ///
    /// # Errors
    /// [`Failure::UnknownServer`]; what the provider could not give up.
    pub async fn logout(&self, principal: &Principal, server: &str) -> Result<(), LogoutError> {
        let inner = &self.0;
        let mut entries = inner.entries.iter();
        let Some(entry) = entries.find(|entry| entry.id.as_str() == server) else {
            let candidates = inner.ids.iter().take(12).map(|id| id.as_str().to_owned());
            return Err(Error::from(Failure::UnknownServer {
                name: server.to_owned(),
                candidates: candidates.collect(),
            })
            .into());
        };
        let Ok(there) = &entry.served else {
            return Ok(());
        };
        let (inner, member) = (Arc::clone(inner), Arc::clone(&there.member));
        let (principal, under_way) = (principal.clone(), inner.life.under_way());
        let work = tokio::spawn(async move {
            let outcome = inner.log_out(&principal, &member).await;
            drop(under_way);
            outcome
        });
        work.await.unwrap_or_else(|_| {
            let cut_off = CredentialError::unavailable("the logout was cut off");
            Err(Error::from(cut_off).at_server(&entry.id).into())
        })
    }
}

impl Inner {
    async fn log_out(&self, principal: &Principal, member: &Member) -> Result<(), LogoutError> {
        self.hot.forget(principal);
        // While the token is still good: the server wants to know who ends the session.
        say_goodbye(principal, member).await;
        let context = CallContext::new(principal.clone());
        let forgotten = context.bound(FORGETTING, "giving up the token", async {
            Ok(member
                .provider()
                .logged_out(member.request(principal))
                .await?)
        });
        let forgotten = forgotten.await;
        // Not before: a replica that hears of it reads from the store what is there now.
        self.cache
            .invalidate_logged_out(principal, member.id())
            .await;
        self.hot.forget(principal);
        // What began with the old token before it was given up.
        say_goodbye(principal, member).await;
        forgotten.map_err(|error| error.at_server(member.id()).into())
    }
}

/// Past the time it ends without us.
async fn say_goodbye(principal: &Principal, member: &Member) {
    let context = CallContext::new(principal.clone()).with_timeout(GOODBYE);
    let closed = async {
        member.close(&context).await;
        Ok(())
    };
    let _ = context.bound(GOODBYE, "saying goodbye", closed).await;
}
