//! Where a person's consent comes from: as data, or from a host that can get it at once.

use std::fmt;

use mcp_core::BoxFuture;
use mcp_core::auth::{CredentialError, Principal, ServerId};

/// An authorization that was begun: data for a link, a button or a browser.
///
/// Printing leaves the URL's query out: it holds the `state`, which is for this user only.
#[derive(Clone)]
#[non_exhaustive]
pub struct AuthorizationPrompt {
    /// Where the user consents.
    pub authorize_url: String,
    /// Where the answer will be sent.
    pub redirect_uri: String,
    /// Names this authorization in the callback.
    pub state: String,
    /// Who is asked, by its issuer identifier.
    pub issuer: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// For which server.
    pub server: ServerId,
    /// Of whom.
    pub principal: Principal,
}

impl fmt::Debug for AuthorizationPrompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.authorize_url.split(['?', '#']).next();
        f.debug_struct("AuthorizationPrompt")
            .field("authorize_url", &shown)
            .field("issuer", &self.issuer)
            .field("scopes", &self.scopes)
            .field("server", &self.server)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

/// A host with the user in front of it, which gets consent while the call waits.
///
/// Without one, a call that needs consent fails with
/// [`NeedsAuthorization`](mcp_core::Failure::NeedsAuthorization), whose data goes to the user; the
/// callback is given to [`OAuth::complete`](crate::OAuth::complete) later.
///
/// # How long a call waits
/// Until its own deadline, where it fails with a timeout that says "waiting for credentials": a
/// deadline is a promise to whoever waits for the call, so the user's time counts. That is 30 s unless
/// somebody says otherwise (the deadline of the [`CallContext`](mcp_core::CallContext), which the
/// toolkit's loaders set by `timeout`; without one [`Limits`](mcp_core::Limits)). Only the wait is
/// lost: the flow goes on for up to five and a half minutes, calls that come meanwhile wait for the
/// same one, and those that come after it find the token. A host whose calls are to outlast the user
/// gives them six minutes.
pub trait AuthorizationHandler: fmt::Debug + Send + Sync {
    /// Sends the user to the URL and gives the callback URL that came back, whole. Not called more
    /// than a few times in ten minutes for one principal.
    ///
    /// # Errors
    /// When the user does not answer. The call that waits fails with it.
    fn authorize<'a>(
        &'a self,
        prompt: &'a AuthorizationPrompt,
    ) -> BoxFuture<'a, Result<String, CredentialError>>;
}
