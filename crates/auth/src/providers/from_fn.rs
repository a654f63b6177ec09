//! Closures as providers.

use std::fmt;
use std::future::Future;

use http::{Method, Uri};

use crate::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Principal,
    ServerId, panics,
};

/// A provider that calls this at every request, for what is at hand: a trace id, a user's header
/// out of the application's state.
///
/// ```
/// use mcp_auth::{Bearer, Combined, Credentials, from_fn};
///
/// # fn new_trace_id() -> String { "test-trace".into() }
/// let trace = from_fn(|_| {
///     Ok(Credentials::builder().volatile_header("X-Trace-Id", new_trace_id())?.build()?)
/// });
/// let provider = Combined::new(Bearer::new("test-token")?, trace)?;
/// # Ok::<(), mcp_auth::InvalidHeader>(())
/// ```
///
/// What is fetched belongs elsewhere: see [`from_async_fn`] and
/// [`RefreshingToken`](crate::RefreshingToken).
pub fn from_fn<F>(make: F) -> FromFn<F>
where
    F: Fn(CredentialRequest<'_>) -> Result<Credentials, CredentialError> + Send + Sync,
{
    FromFn(make)
}

/// A provider that awaits this at every request and keeps nothing, for a platform that has its own
/// cache behind the call.
///
/// ```
/// use mcp_auth::{Credentials, RequestInfo, from_async_fn};
///
/// # async fn token_for(user: &str) -> Result<String, mcp_auth::CredentialError> { Ok(user.into()) }
/// let provider = from_async_fn(|request: RequestInfo| async move {
///     Ok(Credentials::bearer(token_for(request.principal.user()).await?)?)
/// });
/// ```
///
/// Without such a cache, wrap a [`TokenSource`](crate::TokenSource) in a
/// [`RefreshingToken`](crate::RefreshingToken), one for each user with
/// [`PerPrincipal`](crate::PerPrincipal). Dropping a caller drops the future.
pub fn from_async_fn<F, T>(make: F) -> FromAsyncFn<F>
where
    F: Fn(RequestInfo) -> T + Send + Sync,
    T: Future<Output = Result<Credentials, CredentialError>> + Send,
{
    FromAsyncFn(make)
}

/// A closure that is a provider; see [`from_fn`].
#[derive(Clone, Copy)]
pub struct FromFn<F>(F);

/// An asynchronous closure that is a provider; see [`from_async_fn`].
#[derive(Clone, Copy)]
pub struct FromAsyncFn<F>(F);

/// The request that credentials are wanted for, in a form that a future can own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestInfo {
    /// The server, by the name it has here.
    pub server: ServerId,
    /// On whose behalf the request is made.
    pub principal: Principal,
    /// The HTTP method, where there is one.
    pub method: Option<Method>,
    /// The URI, where there is one.
    pub uri: Option<Uri>,
    /// The tool that is called, by its name on the server.
    pub tool: Option<String>,
    /// Scopes that a challenge asked for.
    pub scopes: Vec<String>,
}

impl From<CredentialRequest<'_>> for RequestInfo {
    fn from(request: CredentialRequest<'_>) -> Self {
        Self {
            server: request.server.clone(),
            principal: request.principal.clone(),
            method: request.method.cloned(),
            uri: request.uri.cloned(),
            tool: request.tool.map(str::to_owned),
            scopes: request.scopes.to_vec(),
        }
    }
}

impl<F> CredentialProvider for FromFn<F>
where
    F: Fn(CredentialRequest<'_>) -> Result<Credentials, CredentialError> + Send + Sync,
{
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        MaybeReady::ready(panics::caught(|| (self.0)(request)))
    }
}

impl<F, T> CredentialProvider for FromAsyncFn<F>
where
    F: Fn(RequestInfo) -> T + Send + Sync,
    T: Future<Output = Result<Credentials, CredentialError>> + Send,
{
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        MaybeReady::new(
            async move { panics::awaited(async { (self.0)(request.into()).await }).await },
        )
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromFn")
    }
}

impl<F> fmt::Debug for FromAsyncFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromAsyncFn")
    }
}
