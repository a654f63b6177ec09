//! The guarded HTTP client: one pool for everybody, and a policy on where it may go.

mod body;
mod builder;
mod connect;
mod failure;
mod handshake;
mod hosts;
mod policy;
mod pool;
pub(crate) mod redirect;
mod request;
mod resolve;
mod response;
mod socket;
mod tls;
mod url;

use std::fmt;
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderValue, header};
use mcp_core::{Error, Limits};

pub(crate) use self::body::Departure;
pub use self::builder::HttpClientBuilder;
pub use self::failure::SendError;
pub use self::handshake::Handshake;
pub use self::hosts::AllowedHosts;
pub use self::policy::AddressPolicy;
pub use self::request::{HttpRequest, UrlSource};
pub use self::resolve::Resolve;
pub use self::response::HttpResponse;
pub use self::url::HttpUrl;

use self::connect::{Connector, Proxy};
use self::pool::{Keep, Pool};
pub(crate) use self::redirect::Refusal;
use self::tls::Tls;
use crate::server::Finders;

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("mcp-toolkit/", env!("CARGO_PKG_VERSION")));
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// An HTTP client that does not go where it should not.
///
/// * One pool of connections for every principal: HTTP/1.1, or HTTP/2 where TLS agrees on it.
/// * The address policy is applied to the address that is dialled, after the name was resolved.
/// * Plain HTTP goes to loopback only, unless opted in.
/// * Nothing follows a redirect by itself except [`fetch`](Self::fetch), within bounds.
/// * It sends no cookies, asks for no encoding, reads no proxy variables.
///
/// Cloning copies pointers. Connections live on the runtime that opened them: use one client per
/// runtime.
#[derive(Clone)]
pub struct HttpClient(Arc<Inner>, Option<AllowedHosts>);

struct Inner {
    configured: AddressPolicy,
    supplied: AddressPolicy,
    allow_plain_http: bool,
    limits: Limits,
    keep: Keep,
    resolver: Arc<dyn Resolve>,
    tls: Arc<Tls>,
    proxy: Option<Proxy>,
    /// Which dialects the servers speak that are reached through this client.
    finders: Finders,
    /// One pool per policy: a connection that one policy allowed must not serve another.
    pools: [OnceLock<Pool>; AddressPolicy::ALL.len()],
}

impl HttpClient {
    /// A client with the default bounds and policies.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets bounds, policies, roots, a client certificate.
    pub fn builder() -> HttpClientBuilder {
        HttpClientBuilder::default()
    }

    /// The bounds that the client keeps.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The same client with the same connections, which goes to these hosts only: redirects and
    /// what a server names included. What was allowed before stays a condition.
    pub fn limited_to(&self, hosts: &AllowedHosts) -> Self {
        let hosts = match &self.1 {
            Some(before) => before.and(hosts),
            None => hosts.clone(),
        };
        Self(Arc::clone(&self.0), Some(hosts))
    }

    /// Whether requests to a URL can be sent at all, as far as the URL alone tells.
    ///
    /// # Errors
    /// [`Failure::AddressRefused`](mcp_core::Failure) for a host that is not
    /// [allowed](Self::limited_to), and for plain HTTP to another machine, unless opted in.
    pub fn check(&self, url: &HttpUrl) -> Result<(), Error> {
        self.policy(url, UrlSource::Configured).map(|_| ())
    }

    /// Sends a request and waits for the head of its response. Redirects are not followed. There
    /// is no deadline but that of connecting.
    ///
    /// # Errors
    /// [`SendError`] says whether the server may have received the request; its error is of kind
    /// `connect`, `tls`, `address_refused`, `timeout` (connecting) or `protocol`.
    pub async fn send(&self, mut request: HttpRequest<'_>) -> Result<HttpResponse, SendError> {
        self.send_out(&mut request).await
    }

    /// As [`send`](Self::send). What was sent is taken out of the request: futures that are given one
    /// by value hold it twice and more.
    pub(crate) async fn send_out(
        &self,
        request: &mut HttpRequest<'_>,
    ) -> Result<HttpResponse, SendError> {
        let policy = self.policy(request.url, request.source);
        let policy = policy.map_err(SendError::refused)?;
        request.headers.insert(header::ACCEPT_ENCODING, IDENTITY);
        (request.headers.entry(header::USER_AGENT)).or_insert(USER_AGENT);
        self.pool(policy).send(request).await
    }

    /// Sends a request and follows redirects: at most `Limits::redirects`, never from `https` to
    /// `http`. At the same origin method, body and headers are kept (307, 308). To another origin
    /// only GET and HEAD go, with no header but `Accept`, to addresses that the policy for
    /// server-supplied URLs allows.
    ///
    /// # Errors
    /// As [`send`](Self::send), and `redirect_refused`.
    pub async fn fetch(&self, request: HttpRequest<'_>) -> Result<HttpResponse, SendError> {
        let mut hops = 0;
        let (method, body) = (request.method.clone(), request.body.clone());
        let mut headers = request.headers.clone();
        let mut url = request.url.clone();
        let first = url.clone();
        let mut response = self.send(request).await?;
        loop {
            let target = redirect::target(&method, &url, response.status(), response.headers());
            // What was sent is not known here: of where it leads nothing is told.
            let refused = |refusal: Refusal| {
                SendError::refused(refusal.into_error(|_| "the new URL".to_owned()))
            };
            let Some(to) = target.map_err(refused)? else {
                return Ok(response);
            };
            hops += 1;
            if hops > self.0.limits.redirects {
                let reason = "there are more of them than the limit `redirects` allows";
                return Err(refused(Refusal::new(reason, None)));
            }
            if !url.same_origin(&to) {
                let accept = headers.remove(header::ACCEPT);
                headers = HeaderMap::new();
                headers.extend(accept.map(|accept| (header::ACCEPT, accept)));
            }
            url = to;
            let next = HttpRequest {
                method: method.clone(),
                url: &url,
                headers: headers.clone(),
                body: body.clone(),
                source: UrlSource::Supplied { by: &first },
                departure: None,
            };
            response = self.send(next).await?;
        }
    }

    pub(crate) fn finders(&self) -> &Finders {
        &self.0.finders
    }

    fn policy(&self, url: &HttpUrl, source: UrlSource<'_>) -> Result<AddressPolicy, Error> {
        if self.1.as_ref().is_some_and(|hosts| !hosts.allow(url)) {
            return Err(url.refused("the host is not one of the allowed hosts"));
        }
        let plain = !url.is_https() && !self.0.allow_plain_http;
        if plain && !url.is_loopback() {
            return Err(url.refused(
                "plain HTTP goes to loopback only; use https, or opt in with allow_plain_http",
            ));
        }
        let policy = match source {
            UrlSource::Configured => self.0.configured,
            UrlSource::Supplied { by } if by.same_origin(url) => self.0.configured,
            // A server on this machine names its neighbours on this machine.
            UrlSource::Supplied { by }
                if by.is_loopback() && self.0.supplied == AddressPolicy::Public =>
            {
                AddressPolicy::PublicOrLoopback
            }
            UrlSource::Supplied { .. } => self.0.supplied,
        };
        Ok(match policy {
            // `localhost` is a name: somebody may have pointed it elsewhere.
            AddressPolicy::Any | AddressPolicy::PublicOrLoopback if plain => {
                AddressPolicy::Loopback
            }
            other => other,
        })
    }

    fn pool(&self, policy: AddressPolicy) -> &Pool {
        let inner = &*self.0;
        let index = AddressPolicy::ALL
            .iter()
            .position(|known| *known == policy)
            .unwrap_or_default();
        let [first, ..] = &inner.pools;
        inner.pools.get(index).unwrap_or(first).get_or_init(|| {
            let connector = Connector::new(
                policy,
                &inner.resolver,
                Arc::clone(&inner.tls),
                inner.proxy.as_ref(),
                inner.limits.connect_timeout,
            );
            Pool::new(connector, inner.keep)
        })
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("configured", &self.0.configured)
            .field("supplied", &self.0.supplied)
            .field("allow_plain_http", &self.0.allow_plain_http)
            .field("hosts", &self.1)
            .field("tls", &self.0.tls)
            .finish_non_exhaustive()
    }
}
