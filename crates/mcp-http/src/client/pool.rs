//! Connections that are kept between requests: of one policy, by origin.

mod dial;
mod lease;
mod origin;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header;
use tokio::task::JoinHandle;

use super::connect::{ConnectFailure, Connector};
use super::failure::SendError;
use super::request::HttpRequest;
use super::response::HttpResponse;
use super::url::HttpUrl;

use self::dial::Dialled;
pub(super) use self::lease::Lease;
use self::origin::{Connection, Origin, Speaks};

/// How often a request is sent that never left, because its connection turned out to be closed. The
/// last time, one is opened for it.
const TRIES: usize = 4;

/// How long others wait for a connection that may serve all of them before each opens its own.
const JOINT_PATIENCE: Duration = Duration::from_secs(1);

/// How long is waited at least before idle connections are looked through again.
const SHORTEST_SWEEP: Duration = Duration::from_secs(1);

/// The connections that one policy allows. They are shared by all who send, whoever they are:
/// nothing of a credential belongs to a connection.
///
/// A request takes the connection that was used last. Where none is idle, one is opened, and the
/// request goes out on that or on one that is given back meanwhile, whichever is first.
pub(super) struct Pool(Arc<Connections>);

struct Connections {
    connector: Connector,
    keep: Keep,
    origins: Mutex<Origins>,
}

/// What is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    /// How long a connection may be idle.
    pub(super) idle: Duration,
    /// How many idle ones there may be to one origin.
    pub(super) per_origin: usize,
}

#[derive(Default)]
struct Origins {
    /// In order: to compare a few names takes less time than to hash one.
    by_name: BTreeMap<Box<str>, Arc<Origin>>,
    /// Closes what was idle too long; there while there are origins.
    sweeper: Option<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn new(connector: Connector, keep: Keep) -> Self {
        Self(Arc::new(Connections {
            connector,
            keep,
            origins: Mutex::default(),
        }))
    }

    /// Sends a request and waits for the head of its response. What never left, because the connection
    /// was closed at the other end, goes out on another.
    pub(super) async fn send(
        &self,
        request: &mut HttpRequest<'_>,
    ) -> Result<HttpResponse, SendError> {
        let url = request.url;
        let origin = self.0.origin(url);
        let mut tries = 0;
        loop {
            tries += 1;
            let is_last = tries == TRIES;
            let kept = if is_last { None } else { origin.take() };
            let connection = if let Some(connection) = kept {
                connection
            } else {
                let connected = Box::pin(self.0.connect(&origin, url)).await;
                connected.map_err(|failure| SendError::refused(failure.at(url)))?
            };
            let mut departure = None;
            let sent = match connection {
                Connection::Alone(mut sender) => {
                    let host = request.headers.entry(header::HOST);
                    host.or_insert_with(|| url.authority().clone());
                    let sending = sender.try_send_request(request.take_out(url.target().clone()));
                    let sent = sending.await;
                    sent.map(|response| {
                        // A short answer comes in one piece with its head: the connection is free.
                        if sender.is_ready() {
                            origin.give_back(sender);
                            return HttpResponse::new(response, None);
                        }
                        HttpResponse::new(response, Some(Lease::new(sender, &origin)))
                    })
                }
                Connection::Shared(mut sender) => {
                    // Its name for the host is `:authority` (RFC 9113, section 8.3.1).
                    request.headers.remove(header::HOST);
                    departure = request.watch();
                    let sending = sender.try_send_request(request.take_out(url.uri().clone()));
                    // Whoever can still send holds up what a connection that ends gives back.
                    drop(sender);
                    let sent = sending.await;
                    sent.map(|response| HttpResponse::new(response, None))
                }
            };
            let mut failed = match sent {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            match failed.take_message() {
                Some(unsent) if !is_last => request.put_back(unsent),
                message => {
                    let stayed = departure.is_some_and(|departure| !departure.hold_back());
                    let is_unsent = message.is_some() || stayed;
                    let error = failed.into_error();
                    return Err(SendError::from_hyper(url, &error, is_unsent));
                }
            }
        }
    }
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, Origins> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn origin(self: &Arc<Self>, url: &HttpUrl) -> Arc<Origin> {
        let mut origins = self.lock();
        if let Some(origin) = origins.by_name.get(url.origin()) {
            return Arc::clone(origin);
        }
        let speaks = if url.is_https() {
            Speaks::Unknown
        } else {
            Speaks::Http1
        };
        let origin = Arc::new(Origin::new(speaks, self.keep));
        origins
            .by_name
            .insert(url.origin().into(), Arc::clone(&origin));
        // One that belonged to a runtime that is gone has ended.
        if origins.sweeper.as_ref().is_none_or(JoinHandle::is_finished) {
            let sweeping = sweep(Arc::downgrade(self), self.keep.idle);
            origins.sweeper = Some(tokio::spawn(sweeping));
        }
        origin
    }

    async fn connect(
        self: &Arc<Self>,
        origin: &Arc<Origin>,
        url: &HttpUrl,
    ) -> Result<Connection, Arc<ConnectFailure>> {
        // Until it is known that each request needs a connection of its own, all wait for one. What
        // hinders that one need not hinder others.
        if origin.speaks() != Speaks::Http1 {
            let (dialling, is_ours) = origin.join(|| {
                let (this, origin, url) = (Arc::clone(self), Arc::clone(origin), url.clone());
                let dialling = async move {
                    let dialled = this.dial(&url, &origin).await.map_err(Arc::new)?;
                    origin.keep(dialled);
                    Ok(())
                };
                dialling.boxed()
            });
            if is_ours {
                dialling.await?;
            } else {
                let _ = tokio::time::timeout(JOINT_PATIENCE, dialling).await;
            }
            if let Some(connection) = origin.take() {
                return Ok(connection);
            }
        }
        let mut dialling = {
            let (this, origin, url) = (Arc::clone(self), Arc::clone(origin), url.clone());
            async move { this.dial(&url, &origin).await }.boxed()
        };
        tokio::select! {
            biased;
            connection = origin.given_back() => {
                origin.finish_behind(dialling);
                Ok(connection)
            }
            dialled = &mut dialling => match dialled {
                Ok(Dialled::Alone(sender)) => Ok(Connection::Alone(sender)),
                Ok(Dialled::Shared(sender)) => {
                    origin.keep(Dialled::Shared(sender.clone()));
                    Ok(Connection::Shared(sender))
                }
                Err(failure) => origin.take().ok_or_else(|| Arc::new(failure)),
            },
        }
    }

    async fn dial(&self, url: &HttpUrl, origin: &Arc<Origin>) -> Result<Dialled, ConnectFailure> {
        dial::dial(&self.connector, url, Arc::downgrade(origin)).await
    }
}

/// Closes connections that were idle too long, as long as there are any.
async fn sweep(connections: Weak<Connections>, idle: Duration) {
    loop {
        tokio::time::sleep(idle.max(SHORTEST_SWEEP)).await;
        let Some(connections) = connections.upgrade() else {
            return;
        };
        let mut origins = connections.lock();
        origins.by_name.retain(|_, origin| {
            let is_empty = origin.sweep();
            // Nobody can come by another clone than through this map, which is locked.
            !is_empty || Arc::strong_count(origin) > 1
        });
        if origins.by_name.is_empty() {
            origins.sweeper = None;
            return;
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        if let Some(sweeper) = self.lock().sweeper.take() {
            sweeper.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::HttpClient;
    use crate::client::policy::AddressPolicy;

    #[tokio::test(start_paused = true)]
    async fn origins_that_nobody_speaks_to_any_more_are_forgotten() {
        let client = HttpClient::builder().build();
        let pool = client.pool(AddressPolicy::Loopback);
        let url = |port| HttpUrl::parse(&format!("http://localhost:{port}/")).unwrap();
        let in_use = pool.0.origin(&url(1));
        for port in 2..100 {
            pool.0.origin(&url(port));
        }
        assert_eq!(pool.0.lock().by_name.len(), 99);
        tokio::time::sleep(pool.0.keep.idle * 2).await;
        assert_eq!(pool.0.lock().by_name.len(), 1);
        drop(in_use);
        tokio::time::sleep(pool.0.keep.idle * 2).await;
        assert!(pool.0.lock().by_name.is_empty());
        assert!(pool.0.lock().sweeper.is_none());
        // Whoever comes later finds somebody to look after it.
        pool.0.origin(&url(1));
        assert!(pool.0.lock().sweeper.is_some());
    }
}
