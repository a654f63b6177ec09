//! Names become addresses, and only those that the policy allows are dialled.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use mcp_core::BoxFuture;
use tower_service::Service;

use super::policy::AddressPolicy;

/// Finds the addresses of a host, in place of the system's resolver.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of a host name. Literal addresses never come here.
    ///
    /// # Errors
    /// When the name has none or cannot be looked up.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// `getaddrinfo`, on the runtime's threads for blocking work.
#[derive(Debug)]
pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let lookup = move || {
                let found = (host.as_str(), 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            };
            tokio::task::spawn_blocking(lookup)
                .await
                .map_err(io::Error::other)?
        })
    }
}

/// Lets through what the policy allows; what is dialled is what was checked.
#[derive(Clone, Debug)]
pub(crate) struct GuardedResolver {
    pub(crate) policy: AddressPolicy,
    pub(crate) inner: Arc<dyn Resolve>,
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (policy, inner) = (self.policy, Arc::clone(&self.inner));
        Box::pin(async move {
            let mut refusal = None;
            let mut allowed = Vec::new();
            for address in inner.resolve(name.as_str()).await? {
                match policy.refusal(address) {
                    Some(reason) => refusal = Some(reason),
                    None => allowed.push(SocketAddr::new(address, 0)),
                }
            }
            match refusal {
                Some(reason) if allowed.is_empty() => Err(Refused(reason).into()),
                _ => Ok(allowed.into_iter()),
            }
        })
    }
}

/// The policy refused every address.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) &'static str);
