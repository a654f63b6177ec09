//! Dialling: policy, TCP, TLS, all under one deadline.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use tower_service::Service;

use super::policy::AddressPolicy;
use super::resolve::{GuardedResolver, Refused, Resolve};
use super::socket::Socket;
use super::tls::Tls;
use super::url::HttpUrl;

type BoxError = Box<dyn StdError + Send + Sync>;
type Stream = MaybeHttpsStream<Socket>;

/// Why there is no connection. Nothing has been sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectFailure {
    #[error("{0}")]
    Refused(&'static str),
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    #[error("the TLS handshake failed")]
    Tls(#[source] BoxError),
    #[error("nothing answered")]
    Tcp(#[source] BoxError),
    #[error("the connection was lost as soon as it was open")]
    Lost(#[source] BoxError),
    #[error("TLS cannot be set up")]
    Setup(#[source] mcp_core::Error),
}

/// Opens connections that one policy allows.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    tcp: Tcp,
    tls: Arc<Tls>,
    timeout: Duration,
}

impl Connector {
    pub(crate) fn new(
        policy: AddressPolicy,
        resolver: &Arc<dyn Resolve>,
        tls: Arc<Tls>,
        proxy: Option<&Proxy>,
        timeout: Duration,
    ) -> Self {
        let http = |policy| {
            let mut http = HttpConnector::new_with_resolver(GuardedResolver {
                policy,
                inner: Arc::clone(resolver),
            });
            http.enforce_http(false);
            // Requests are one small write each; waiting to fill a packet would cost 40 ms.
            http.set_nodelay(true);
            http.set_keepalive(Some(Duration::from_secs(60)));
            http
        };
        let tunnel = proxy.map(|proxy| {
            // The proxy is the user's own choice, wherever it is.
            let tunnel = Tunnel::new(proxy.url.uri().clone(), http(AddressPolicy::Any));
            match &proxy.authorization {
                Some(authorization) => tunnel.with_auth(authorization.clone()),
                None => tunnel,
            }
        });
        let tcp = Tcp {
            policy,
            http: http(policy),
            tunnel,
        };
        Self { tcp, tls, timeout }
    }
}

/// An HTTP proxy that `https` is tunnelled through, and what is said to it and nobody else.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) url: HttpUrl,
    pub(crate) authorization: Option<HeaderValue>,
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectFailure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (mut tcp, tls, timeout) = (self.tcp.clone(), Arc::clone(&self.tls), self.timeout);
        Box::pin(async move {
            let connecting = async {
                if uri.scheme() == Some(&http::uri::Scheme::HTTP) {
                    return tcp.call(uri).await.map(MaybeHttpsStream::Http);
                }
                let config = tls.config().await.map_err(ConnectFailure::Setup)?;
                let mut https = HttpsConnectorBuilder::new()
                    .with_tls_config((*config).clone())
                    .https_only()
                    .enable_all_versions()
                    .wrap_connector(tcp);
                https.call(uri).await.map_err(|error| {
                    // What is not TCP's own failure comes from the handshake on top of it.
                    match error.downcast::<ConnectFailure>() {
                        Ok(failure) => *failure,
                        Err(error) => ConnectFailure::Tls(error),
                    }
                })
            };
            match tokio::time::timeout(timeout, connecting).await {
                Ok(outcome) => outcome,
                Err(_) => Err(ConnectFailure::Timeout(timeout)),
            }
        })
    }
}

/// TCP to an address that was checked: a literal here, a name in the resolver.
#[derive(Clone, Debug)]
struct Tcp {
    policy: AddressPolicy,
    http: HttpConnector<GuardedResolver>,
    tunnel: Option<Tunnel<HttpConnector<GuardedResolver>>>,
}

impl Service<Uri> for Tcp {
    type Response = Socket;
    type Error = ConnectFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let host = uri.host().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let refusal = literal
            .parse::<IpAddr>()
            .ok()
            .and_then(|address| self.policy.refusal(address));
        if let Some(reason) = refusal {
            return Box::pin(std::future::ready(Err(ConnectFailure::Refused(reason))));
        }
        let is_https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        if let Some(mut tunnel) = self.tunnel.clone().filter(|_| is_https) {
            return Box::pin(async move {
                std::future::poll_fn(|context| tunnel.poll_ready(context))
                    .await
                    .map_err(|error| ConnectFailure::Tcp(error.into()))?;
                let tunnelled = tunnel.call(uri).await.map(Socket::new);
                tunnelled.map_err(|error| ConnectFailure::Tcp(error.into()))
            });
        }
        let mut http = self.http.clone();
        Box::pin(async move {
            std::future::poll_fn(|context| http.poll_ready(context))
                .await
                .map_err(|error| ConnectFailure::Tcp(error.into()))?;
            let connected = http.call(uri).await.map(Socket::new);
            connected.map_err(|error| {
                let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
                while let Some(error) = cause {
                    if let Some(Refused(reason)) = error.downcast_ref() {
                        return ConnectFailure::Refused(reason);
                    }
                    cause = error.source();
                }
                ConnectFailure::Tcp(error.into())
            })
        })
    }
}
