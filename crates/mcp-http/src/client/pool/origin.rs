//! What is kept of one origin: idle connections, or the one that all share.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _, Shared, WeakShared};
use hyper::client::conn::http2;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::body::RequestBody;
use super::super::connect::ConnectFailure;
use super::Keep;
use super::dial::{Dialled, Sender};

/// A connection for a request.
pub(super) enum Connection {
    /// HTTP/1.1: until its response has been read, for this request alone.
    Alone(Sender),
    /// HTTP/2.
    Shared(http2::SendRequest<RequestBody>),
}

/// What an origin was last found to speak.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Speaks {
    Unknown,
    Http1,
    Http2,
}

/// A connection in the making that many wait for.
pub(super) type Joint = Shared<Dialling<Joined>>;
pub(super) type Joined = Result<(), Arc<ConnectFailure>>;
pub(super) type Dialling<T> = BoxFuture<'static, T>;

pub(super) struct Origin {
    keep: Keep,
    state: Mutex<State>,
    /// Wakes one that waits for a connection when one is given back.
    given_back: Notify,
}

struct State {
    speaks: Speaks,
    /// The one that was used last is last.
    idle: Vec<Idle>,
    shared: Option<SharedConnection>,
    joint: Option<WeakShared<Dialling<Joined>>>,
    /// How many are being opened that nobody waits for any more.
    behind: usize,
}

struct Idle {
    sender: Sender,
    since: Instant,
}

struct SharedConnection {
    sender: http2::SendRequest<RequestBody>,
    used: Instant,
}

impl Origin {
    pub(super) fn new(speaks: Speaks, keep: Keep) -> Self {
        let state = State {
            speaks,
            idle: Vec::new(),
            shared: None,
            joint: None,
            behind: 0,
        };
        Self {
            keep,
            state: Mutex::new(state),
            given_back: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn speaks(&self) -> Speaks {
        self.lock().speaks
    }

    /// A connection that is there and good.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut state = self.lock();
        if let Some(shared) = &mut state.shared {
            if !shared.sender.is_closed() && shared.used.elapsed() <= self.keep.idle {
                shared.used = Instant::now();
                return Some(Connection::Shared(shared.sender.clone()));
            }
            state.shared = None;
        }
        while let Some(idle) = state.idle.pop() {
            // One that is not ready has ended, or is about to: nothing is being sent on it.
            if idle.sender.is_ready() && idle.since.elapsed() <= self.keep.idle {
                return Some(Connection::Alone(idle.sender));
            }
        }
        None
    }

    /// Waits for one that is given back.
    pub(super) async fn given_back(&self) -> Connection {
        loop {
            // Listened for before it is looked for, or one that comes in between would be missed.
            let mut given_back = pin!(self.given_back.notified());
            given_back.as_mut().enable();
            if let Some(connection) = self.take() {
                return connection;
            }
            given_back.await;
        }
    }

    /// Gives back a connection that another request can go out on.
    pub(super) fn give_back(&self, sender: Sender) {
        let mut state = self.lock();
        if state.idle.len() < self.keep.per_origin {
            let since = Instant::now();
            state.idle.push(Idle { sender, since });
            drop(state);
            self.given_back.notify_one();
        }
    }

    /// Keeps a new connection.
    pub(super) fn keep(&self, dialled: Dialled) {
        match dialled {
            Dialled::Alone(sender) => {
                self.lock().speaks = Speaks::Http1;
                self.give_back(sender);
            }
            Dialled::Shared(sender) => {
                let mut state = self.lock();
                state.speaks = Speaks::Http2;
                let used = Instant::now();
                state.shared = Some(SharedConnection { sender, used });
                drop(state);
                self.given_back.notify_waiters();
            }
        }
    }

    /// Forgets a shared connection that is closed.
    pub(super) fn forget_closed(&self) {
        let mut state = self.lock();
        let closed = |shared: &mut SharedConnection| shared.sender.is_closed();
        drop(state.shared.take_if(closed));
    }

    /// The connection in the making that all wait for: this one, unless there is one already. It is
    /// given up when nobody waits any more. Says whether it is this one.
    pub(super) fn join(&self, dialling: impl FnOnce() -> Dialling<Joined>) -> (Joint, bool) {
        let mut state = self.lock();
        let begun = state.joint.as_ref().and_then(WeakShared::upgrade);
        if let Some(begun) = begun.filter(|begun| begun.peek().is_none()) {
            return (begun, false);
        }
        let joint = dialling().shared();
        state.joint = joint.downgrade();
        (joint, true)
    }

    /// Lets a connection be opened to its end that the request does not need any more which it was
    /// begun for: the next one will, or this one would not have begun it.
    pub(super) fn finish_behind(
        self: &Arc<Self>,
        dialling: Dialling<Result<Dialled, ConnectFailure>>,
    ) {
        let mut state = self.lock();
        if state.idle.len() + state.behind >= self.keep.per_origin {
            return;
        }
        state.behind += 1;
        drop(state);
        let behind = Behind(Arc::clone(self));
        tokio::spawn(async move {
            // It ends with the deadline of connecting at the latest.
            if let Ok(dialled) = dialling.await {
                behind.0.keep(dialled);
            }
        });
    }

    /// Closes what was idle too long. Gives whether nothing is left.
    pub(super) fn sweep(&self) -> bool {
        let mut state = self.lock();
        let keep = self.keep.idle;
        state
            .idle
            .retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < keep);
        // Streams that are still open on it keep its connection until they end.
        if let Some(shared) = &state.shared
            && (shared.sender.is_closed() || shared.used.elapsed() >= keep)
        {
            state.shared = None;
        }
        state.idle.is_empty() && state.shared.is_none()
    }
}

/// Counts one that is opened behind.
struct Behind(Arc<Origin>);

impl Drop for Behind {
    fn drop(&mut self) {
        self.0.lock().behind -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::io::AsyncReadExt as _;

    use super::super::dial::tests::opened;
    use super::*;

    const KEEP: Keep = Keep {
        idle: Duration::from_secs(50),
        per_origin: 2,
    };

    #[tokio::test(start_paused = true)]
    async fn what_was_idle_too_long_is_closed_and_never_used() {
        let origin = Origin::new(Speaks::Http1, KEEP);
        let (connection, mut theirs) = opened().await;
        origin.keep(Dialled::Alone(connection));
        tokio::time::advance(KEEP.idle / 2).await;
        assert!(!origin.sweep());
        tokio::time::advance(KEEP.idle).await;
        assert!(origin.sweep());
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);

        let (connection, mut theirs) = opened().await;
        origin.keep(Dialled::Alone(connection));
        tokio::time::advance(KEEP.idle * 2).await;
        assert!(origin.take().is_none());
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_used_last_is_used_next() {
        let origin = Origin::new(Speaks::Http1, KEEP);
        let (older, theirs) = opened().await;
        origin.keep(Dialled::Alone(older));
        let (newer, _theirs) = opened().await;
        origin.keep(Dialled::Alone(newer));
        drop(theirs);
        tokio::task::yield_now().await;
        assert!(origin.take().is_some());
        assert!(origin.take().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_nobody_waits_for_any_more_is_opened_for_the_next() {
        let origin = Arc::new(Origin::new(Speaks::Http1, KEEP));
        let (connection, _theirs) = opened().await;
        let opening = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Dialled::Alone(connection))
        };
        origin.finish_behind(opening.boxed());
        assert!(origin.take().is_none());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(origin.take().is_some());
        // No more of them than may be kept.
        let begun = Arc::new(AtomicUsize::new(0));
        for _ in 0..5 {
            let begins = Arc::clone(&begun);
            let opening = async move {
                begins.fetch_add(1, Ordering::SeqCst);
                std::future::pending().await
            };
            origin.finish_behind(opening.boxed());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(begun.load(Ordering::SeqCst), KEEP.per_origin);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shared_connection_that_is_closed_is_not_handed_out() {
        let origin = Origin::new(Speaks::Http2, KEEP);
        let (ours, theirs) = tokio::io::duplex(1024);
        let opening = http2::handshake(TokioExecutor::new(), TokioIo::new(ours));
        let (sender, connection) = opening.await.unwrap();
        tokio::spawn(connection);
        origin.keep(Dialled::Shared(sender));
        assert!(origin.take().is_some());
        drop(theirs);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(origin.take().is_none());
    }
}
