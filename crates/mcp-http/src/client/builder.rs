//! Setting up a client.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderValue;
use mcp_core::auth::{ExposeSecret as _, SecretString};
use mcp_core::{Error, Limits};

use super::connect::Proxy;
use super::hosts::AllowedHosts;
use super::policy::AddressPolicy;
use super::pool::Keep;
use super::resolve::{Resolve, SystemResolver};
use super::tls::{Identity, Tls, TlsSettings, certificates};
use super::url::HttpUrl;
use super::{HttpClient, Inner};
use crate::server::Finders;

/// How long a connection is kept without a request on it. Shorter than the keep-alive of common
/// proxies (60 s), so that we are the ones who close: a request that meets a closing connection is
/// lost, and a lost call is not repeated.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// How many idle connections are kept to one host. HTTP/1.1 needs one per request in flight;
/// fewer would mean a handshake per call whenever load goes up and down.
const IDLE_PER_HOST: usize = 256;

/// Sets up an [`HttpClient`].
pub struct HttpClientBuilder {
    limits: Limits,
    configured: AddressPolicy,
    supplied: AddressPolicy,
    allow_plain_http: bool,
    hosts: Option<AllowedHosts>,
    idle_timeout: Duration,
    idle_per_host: usize,
    resolver: Arc<dyn Resolve>,
    tls: TlsSettings,
    proxy: Option<Proxy>,
}

impl Default for HttpClientBuilder {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            configured: AddressPolicy::Any,
            supplied: AddressPolicy::Public,
            allow_plain_http: false,
            hosts: None,
            idle_timeout: IDLE_TIMEOUT,
            idle_per_host: IDLE_PER_HOST,
            resolver: Arc::new(SystemResolver),
            tls: TlsSettings::default(),
            proxy: None,
        }
    }
}

impl HttpClientBuilder {
    /// The bounds to keep: `connect_timeout` and `redirects` are the client's own.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where URLs that the user configured may lead. Default: anywhere.
    pub fn configured_addresses(mut self, policy: AddressPolicy) -> Self {
        self.configured = policy;
        self
    }

    /// Where URLs that a server chose may lead, besides its own origin. Default: public addresses.
    pub fn supplied_addresses(mut self, policy: AddressPolicy) -> Self {
        self.supplied = policy;
        self
    }

    /// Allows plain HTTP to other machines. Credentials travel readable then.
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.allow_plain_http = allow;
        self
    }

    /// Goes to these hosts only: redirects and what a server names included. Default: everywhere
    /// that the other settings allow.
    pub fn allowed_hosts(mut self, hosts: AllowedHosts) -> Self {
        self.hosts = Some(hosts);
        self
    }

    /// How long a connection is kept idle. Default 50 s.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How many idle connections are kept to one host. Default 256.
    pub fn idle_per_host(mut self, connections: usize) -> Self {
        self.idle_per_host = connections;
        self
    }

    /// Finds addresses in another way than the system's. The policies apply all the same.
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Believes certificates of these authorities (PEM) too, besides the system's and the web's.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure) when the text holds no certificate.
    pub fn root_certificates(mut self, pem: &[u8]) -> Result<Self, Error> {
        self.tls.extra_roots.extend(certificates(pem)?);
        Ok(self)
    }

    /// Believes only the authorities that were given by
    /// [`root_certificates`](Self::root_certificates).
    pub fn only_given_roots(mut self) -> Self {
        self.tls.only_extra_roots = true;
        self
    }

    /// Shows a client certificate (PEM, the chain) with its private key (PEM) to servers that ask
    /// for one.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure) when either cannot be read.
    pub fn client_certificate(mut self, chain: &[u8], key: &SecretString) -> Result<Self, Error> {
        self.tls.identity = Some(Identity::from_pem(chain, key)?);
        Ok(self)
    }

    /// Tunnels `https` through an HTTP proxy (`CONNECT`), which sees host names and nothing else.
    /// Plain HTTP goes past it. Names are looked up by the proxy then, so that for URLs which a
    /// server chose the address policy sees literal addresses only; the rest is the proxy's to
    /// refuse.
    ///
    /// `authorization` is the value of `Proxy-Authorization`, such as `Basic dXNlcjpwYXNz`; only
    /// the proxy gets it. Proxy variables of the environment are never read.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure) when the URL is not `http` or the value cannot stand
    /// in a header.
    pub fn proxy(mut self, url: &str, authorization: Option<&SecretString>) -> Result<Self, Error> {
        let url = HttpUrl::parse(url)?;
        if url.is_https() {
            return Err(Error::config("a proxy is reached by `http`"));
        }
        let value = |secret: &SecretString| {
            // The error would not show the value; neither is it worth a source.
            let mut value = HeaderValue::from_str(secret.expose_secret())
                .map_err(|_| Error::config("the proxy's authorization cannot be sent"))?;
            value.set_sensitive(true);
            Ok::<_, Error>(value)
        };
        let authorization = authorization.map(value).transpose()?;
        self.proxy = Some(Proxy { url, authorization });
        Ok(self)
    }

    /// The client. Opens nothing yet.
    pub fn build(self) -> HttpClient {
        let inner = Inner {
            configured: self.configured,
            supplied: self.supplied,
            allow_plain_http: self.allow_plain_http,
            limits: self.limits,
            keep: Keep {
                idle: self.idle_timeout,
                per_origin: self.idle_per_host,
            },
            resolver: self.resolver,
            tls: Arc::new(Tls::new(self.tls)),
            proxy: self.proxy,
            finders: Finders::default(),
            pools: [const { OnceLock::new() }; AddressPolicy::ALL.len()],
        };
        HttpClient(Arc::new(inner), self.hosts)
    }
}

impl fmt::Debug for HttpClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientBuilder")
            .field("configured", &self.configured)
            .field("supplied", &self.supplied)
            .field("allow_plain_http", &self.allow_plain_http)
            .finish_non_exhaustive()
    }
}
