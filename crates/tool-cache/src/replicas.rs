//! Of one mind with the caches of other replicas.

mod heard;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_core::auth::time::Instant;
use mcp_core::replicas::{Invalidation, InvalidationBus, Origin, Subscription};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use self::heard::Heard;
use crate::store::Store;

/// The others, as a cache knows them.
pub(crate) struct Replicas {
    bus: Arc<dyn InvalidationBus>,
    origin: Origin,
    /// Whether nothing can be heard now. So it is until something is.
    away: AtomicBool,
    /// How long a set is kept while nothing can be heard.
    pub(crate) short_ttl: Duration,
    listening: AtomicBool,
    /// Whether somebody has listened before.
    listened: AtomicBool,
}

impl Replicas {
    pub(crate) fn new(bus: Arc<dyn InvalidationBus>, short_ttl: Duration) -> Self {
        Self {
            bus,
            origin: Origin::new(),
            away: AtomicBool::new(true),
            short_ttl,
            listening: AtomicBool::new(false),
            listened: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::Acquire)
    }

    pub(crate) fn tell(&self, invalidation: Invalidation) {
        self.bus.publish(self.origin, invalidation);
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        self.bus.subscribe(self.origin)
    }
}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replicas")
            .field("bus", &self.bus)
            .field("away", &self.is_away())
            .finish_non_exhaustive()
    }
}

/// The owner of the task that listens: it ends with this.
#[derive(Debug, Default)]
pub(crate) struct Listener(Mutex<JoinSet<()>>);

impl Listener {
    /// Begins to listen, if there is something to listen to and a runtime to listen in, unless that
    /// is being done. Where a runtime has ended with the task, another takes over.
    pub(crate) fn start(&self, store: &Arc<Store>) {
        let Some(replicas) = &store.replicas else {
            return;
        };
        if replicas.listening.load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut task = self.0.lock();
        if replicas.listening.swap(true, Ordering::AcqRel) {
            return;
        }
        while task.try_join_next().is_some() {}
        let mut listener = Following {
            store: Arc::clone(store),
            listening: Listening(Arc::clone(replicas)),
            subscription: replicas.subscribe(),
            heard: Heard::default(),
            stale_at: None,
        };
        // Whether the bus is there is known before the first load asks.
        listener.hear();
        task.spawn_on(listener.follow(), &runtime);
    }
}

/// Somebody listens, as long as this is there.
struct Listening(Arc<Replicas>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.away.store(true, Ordering::Release);
        self.0.listening.store(false, Ordering::Release);
    }
}

struct Following {
    store: Arc<Store>,
    listening: Listening,
    subscription: Subscription,
    heard: Heard,
    /// While nothing can be heard, what was loaded before is good until then and goes all at once:
    /// that costs those who find something nothing.
    stale_at: Option<Instant>,
}

impl Following {
    /// Does what is heard, until the bus is gone.
    async fn follow(mut self) {
        if self.listening.0.listened.swap(true, Ordering::AcqRel) {
            // Another task did, and ended with its runtime: nobody knows when.
            self.store.forget_all().await;
        }
        loop {
            self.act().await;
            let wake = self.stale_at.into_iter().chain(self.heard.next_turn());
            let wake = wake.min();
            let sleep = async {
                match wake {
                    Some(at) => self.store.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                event = self.subscription.next() => match event {
                    Some(event) => self.heard.take(event),
                    None => return,
                },
                () = sleep => {}
            }
            self.hear();
        }
    }

    fn hear(&mut self) {
        self.heard.take_all_from(&mut self.subscription);
        let others = &self.listening.0;
        if let Some(connected) = self.heard.connected() {
            others.away.store(!connected, Ordering::Release);
            let end = self.store.clock.now().checked_add(others.short_ttl);
            self.stale_at = end.filter(|_| !connected);
            tracing::info!(connected, "invalidation_bus");
        }
    }

    async fn act(&mut self) {
        let now = self.store.clock.now();
        if self.stale_at.is_some_and(|at| at <= now) {
            self.stale_at = None;
            self.store.forget_all().await;
        }
        self.heard.act(&self.store, now).await;
    }
}
