//! The seam through which every transport gets its credentials.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};

use crate::{
    AuthorizationRequired, Challenge, CredentialError, Credentials, MaybeReady, Principal, ServerId,
};

/// Gives the credentials for a request, and hears when they were refused.
///
/// A transport asks at *every* request, so an implementation that has an answer gives it with
/// [`MaybeReady::ready`], without awaiting. A provider that fetches tokens does not cache them
/// itself: it implements [`TokenSource`](crate::TokenSource) and is wrapped in a
/// [`RefreshingToken`](crate::RefreshingToken), which is the one cache and the one place where
/// refreshes are coalesced.
///
/// ```
/// use mcp_auth::{CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady};
///
/// #[derive(Debug)]
/// struct Vault;
///
/// impl CredentialProvider for Vault {
///     fn credentials<'a>(
///         &'a self,
///         request: CredentialRequest<'a>,
///     ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
///         MaybeReady::new(async move {
///             let token = format!("test-token-{}", request.principal.user());
///             Ok(Credentials::bearer(token)?)
///         })
///     }
/// }
/// ```
///
/// Dropping a returned future must lose nothing that cannot be had again: callers are cancelled.
pub trait CredentialProvider: Debug + Send + Sync {
    /// The credentials for one request.
    ///
    /// # Errors
    /// When there are none; the kind says whether to configure, to wait or to ask the user.
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>>;

    /// Told that a server refused credentials (401, or 403 with a challenge).
    ///
    /// [`Recovery::Retry`] makes the transport ask [`credentials`](Self::credentials) again and
    /// repeat the request once. The default gives up, which is right for a static token.
    ///
    /// # Errors
    /// When new credentials were needed and could not be had.
    fn rejected<'a>(
        &'a self,
        rejection: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        let _ = rejection;
        MaybeReady::ready(Ok(Recovery::GiveUp))
    }

    /// Told of a nonce (`DPoP-Nonce`) that came with an answer of any status: proofs of possession
    /// use it from then on (RFC 9449, sections 8.2 and 9). Transports say it before they report a
    /// rejection of the same answer. The default does not care.
    fn nonce(&self, request: CredentialRequest<'_>, nonce: &HeaderValue) {
        let _ = (request, nonce);
    }

    /// Told that the principal of the request logs out of its server: what is kept of that principal
    /// alone (a token in memory or in a store) is given up, and revoked where that is possible.
    /// Whoever has one credential for everybody, or keeps nothing, has nothing to do, which is the
    /// default.
    ///
    /// # Errors
    /// When something could not be given up; as much as could be was.
    fn logged_out<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<(), CredentialError>> {
        let _ = request;
        MaybeReady::ready(Ok(()))
    }

    /// Told that somebody, whom `whom` tells, was logged out of a server by another process, which
    /// has seen to the store and to the revocation: what is held of that principal alone in memory is
    /// given up, and what is in a store is left alone. The default holds nothing.
    fn logged_out_elsewhere(&self, server: &ServerId, whom: &dyn Fn(&Principal) -> bool) {
        let _ = (server, whom);
    }

    /// The names of the headers that every answer will have, as far as they are known before any
    /// answer: a combination finds its conflicts with them when it is made. The default knows none.
    fn header_names(&self) -> Vec<HeaderName> {
        Vec::new()
    }
}

/// A provider that is passed around.
pub type SharedProvider = Arc<dyn CredentialProvider>;

impl<P: CredentialProvider + ?Sized> CredentialProvider for Arc<P> {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        (**self).credentials(request)
    }

    fn rejected<'a>(
        &'a self,
        rejection: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        (**self).rejected(rejection)
    }

    fn nonce(&self, request: CredentialRequest<'_>, nonce: &HeaderValue) {
        (**self).nonce(request, nonce);
    }

    fn logged_out<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<(), CredentialError>> {
        (**self).logged_out(request)
    }

    fn logged_out_elsewhere(&self, server: &ServerId, whom: &dyn Fn(&Principal) -> bool) {
        (**self).logged_out_elsewhere(server, whom);
    }

    fn header_names(&self) -> Vec<HeaderName> {
        (**self).header_names()
    }
}

/// The request that credentials are wanted for. Copying it copies references.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CredentialRequest<'a> {
    /// The server, by the name it has here.
    pub server: &'a ServerId,
    /// On whose behalf the request is made.
    pub principal: &'a Principal,
    /// The HTTP method, where there is one; proofs of possession sign it.
    pub method: Option<&'a Method>,
    /// The URI, where there is one; proofs of possession sign it.
    pub uri: Option<&'a Uri>,
    /// The tool that is called, by its name on the server; `None` outside `tools/call`.
    pub tool: Option<&'a str>,
    /// Scopes that a challenge asked for.
    pub scopes: &'a [String],
}

impl<'a> CredentialRequest<'a> {
    /// A request of a principal to a server.
    pub fn new(server: &'a ServerId, principal: &'a Principal) -> Self {
        Self {
            server,
            principal,
            method: None,
            uri: None,
            tool: None,
            scopes: &[],
        }
    }

    /// Sets the HTTP method and URI.
    pub fn http(mut self, method: &'a Method, uri: &'a Uri) -> Self {
        self.method = Some(method);
        self.uri = Some(uri);
        self
    }

    /// Sets the tool that is called.
    pub fn tool(mut self, tool: Option<&'a str>) -> Self {
        self.tool = tool;
        self
    }

    /// Sets the scopes that a challenge asked for.
    pub fn scopes(mut self, scopes: &'a [String]) -> Self {
        self.scopes = scopes;
        self
    }
}

/// Credentials that a server refused, and what it said.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rejection<'a> {
    /// The request that was refused.
    pub request: CredentialRequest<'a>,
    /// The credentials that were refused. A provider compares their fingerprint with what it holds
    /// now: if somebody has refreshed since, there is nothing to do but retry.
    pub credentials: &'a Credentials,
    /// The HTTP status, 401 or 403.
    pub status: StatusCode,
    /// The challenges of `WWW-Authenticate`, in the server's order.
    pub challenges: &'a [Challenge],
    /// What time it was at the server, as it says: its clock decides whether something signed is of
    /// now.
    pub date: Option<SystemTime>,
}

impl<'a> Rejection<'a> {
    /// A refusal without a challenge.
    pub fn new(
        request: CredentialRequest<'a>,
        credentials: &'a Credentials,
        status: StatusCode,
    ) -> Self {
        Self {
            request,
            credentials,
            status,
            challenges: &[],
            date: None,
        }
    }

    /// Sets the parsed challenges.
    pub fn challenges(mut self, challenges: &'a [Challenge]) -> Self {
        self.challenges = challenges;
        self
    }

    /// Sets what time it was at the server.
    pub fn date(mut self, date: Option<SystemTime>) -> Self {
        self.date = date;
        self
    }
}

/// What to do after a rejection.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Recovery {
    /// Ask for credentials again and repeat the request, once.
    Retry,
    /// Nothing better is to be had; report the rejection.
    GiveUp,
    /// The user must authorize first.
    NeedsAuthorization(AuthorizationRequired),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trait_is_object_safe_and_shared() {
        fn shared<T: Send + Sync + ?Sized>() {}
        shared::<dyn CredentialProvider>();
        let _: Option<Box<dyn CredentialProvider>> = None;
    }
}
