//! Telling all replicas what to forget.

mod generation;
mod hear;
mod message;
mod queue;
mod speak;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_core::auth::Revision;
use mcp_core::replicas::{Hub, Invalidation, InvalidationBus, Origin, Subscription};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use self::queue::Queue;
use crate::Redis;
use crate::connection::Script;

/// How often it is made sure that nothing was missed.
const CHECK: Duration = Duration::from_secs(2);
const SHORTEST_CHECK: Duration = Duration::from_millis(50);

/// An [`InvalidationBus`] on Redis or Valkey.
///
/// What is published goes to a channel, with a number that grows by one each time and is kept beside
/// it: publishing and counting are one step. A replica that hears a number it did not expect, or
/// finds another one after its connection was lost or when it looks (every 2 s), has missed something
/// and says so. A Redis that was flushed, was started anew or failed over to one that lags behind is
/// noticed in the same way. Whoever missed something drops everything.
///
/// What cannot be sent is kept and sent when Redis is back. More than 1,024 different things become
/// one, to forget everything; logouts among them are kept, up to 16,384, and more become a logout of
/// everybody: each replica then reads its tokens from the store again. A replica that ends before
/// takes it along. Messages name principals by their [tags](mcp_core::replicas::PrincipalTag) and hold
/// no secret. Whoever may publish under the prefix can make all replicas load anew, and nothing else.
///
/// Two tasks run from when it is first used within a runtime; they end with the last clone. Caches of
/// one process hear each other without Redis.
///
/// ```
/// use std::sync::Arc;
/// use mcp_core::replicas::InvalidationBus;
/// use mcp_redis::{RedisBus, RedisConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = RedisConfig::from_url("redis://localhost")?.open()?;
/// let bus: Arc<dyn InvalidationBus> = Arc::new(RedisBus::new(redis));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisBus(Arc<Owner>);

/// Ends the tasks when it is dropped; they hold what they share, never this.
struct Owner {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

/// What the one who speaks, the one who hears and the handles have in common.
struct Shared {
    redis: Redis,
    hub: Hub,
    /// Who this is among the replicas.
    name: String,
    /// Where the number is kept.
    counter: String,
    channel: String,
    queue: Queue,
    check: Duration,
    publish: Script,
    look: Script,
}

impl RedisBus {
    /// A bus under the prefix of this connection.
    pub fn new(redis: Redis) -> Self {
        Self::checking(redis, CHECK)
    }

    /// A bus that makes sure so often that nothing was missed: how long a connection that has died
    /// unnoticed stays so. Each time is one request. Default 2 s.
    pub fn checking(redis: Redis, every: Duration) -> Self {
        let shared = Shared {
            hub: Hub::new(),
            name: format!("{:016x}", Revision::unique().number()),
            counter: redis.key("forget", "all"),
            channel: redis.channel("forget"),
            queue: Queue::default(),
            check: every.max(SHORTEST_CHECK),
            publish: Script::new(speak::PUBLISH),
            look: Script::new(hear::LOOK),
            redis,
        };
        Self(Arc::new(Owner {
            shared: Arc::new(shared),
            tasks: Mutex::default(),
        }))
    }

    /// Waits until everything that was published has been sent: before a process ends. For as long as
    /// Redis is away; bound it.
    pub async fn flush(&self) {
        self.start();
        self.0.shared.queue.is_empty().await;
    }

    /// Whether others are heard now.
    pub fn is_connected(&self) -> bool {
        self.0.shared.hub.is_connected()
    }

    /// Where a runtime has ended with its tasks, another takes over.
    fn start(&self) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let tasks = self.0.tasks.lock();
        let mut tasks = tasks.unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        if tasks.len() < 2 {
            tasks.abort_all();
            let shared = || Arc::clone(&self.0.shared);
            tasks.spawn_on(hear::hear(shared()), &runtime);
            tasks.spawn_on(speak::speak(shared()), &runtime);
        }
    }
}

impl InvalidationBus for RedisBus {
    fn publish(&self, from: Origin, invalidation: Invalidation) {
        let shared = &self.0.shared;
        shared.hub.tell(Some(from), invalidation.clone());
        shared.queue.add(invalidation);
        self.start();
    }

    fn subscribe(&self, origin: Origin) -> Subscription {
        let subscription = self.0.shared.hub.subscribe(origin);
        self.start();
        subscription
    }
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus")
            .field("redis", &self.0.shared.redis)
            .field("hub", &self.0.shared.hub)
            .finish_non_exhaustive()
    }
}
