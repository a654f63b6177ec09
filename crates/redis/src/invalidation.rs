//! Telling all replicas what to forget.

mod generation;
mod hear;
mod queue;
mod speak;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_core::auth::Revision;
use mcp_core::replicas::{Hub, Invalidation, InvalidationBus, Origin, Subscription};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;

use self::queue::Queue;
use crate::Redis;
use crate::connection::Script;

/// How often it is made sure that nothing was missed.
const CHECK: Duration = Duration::from_secs(2);
const SHORTEST_CHECK: Duration = Duration::from_millis(100);

/// An [`InvalidationBus`] on Redis or Valkey.
///
/// What is published goes to a channel, with a number that grows by one each time and is kept beside
/// it: publishing and counting are one step. A replica that hears a number it did not expect, or
/// finds another one when its connection was lost or when it looks (every 2 s), has missed something
/// and says so; a Redis that was flushed, restarted empty or failed over to one that lags behind is
/// noticed in the same way. Numbers carry no more than that something was said: whoever missed it
/// drops everything.
///
/// What cannot be sent is kept and sent when Redis is back; more than 1,024 different things become
/// one: forget everything. Messages name principals by their
/// [tags](mcp_core::replicas::PrincipalTag) and hold no secret. Whoever may publish under the prefix
/// can make all replicas load anew, and nothing else.
///
/// Two tasks run while it is used, from when it is first used within a runtime; they end with the
/// last clone. Caches in one process hear each other without Redis.
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
pub struct RedisBus(Arc<Handles>);

/// Ends the tasks when it is dropped; they hold what is below, never this.
struct Handles {
    line: Arc<Line>,
    tasks: parking::Tasks,
}

/// What the two tasks share.
struct Line {
    redis: Redis,
    hub: Hub,
    /// Who this is among the replicas.
    name: String,
    /// The number, and what it counts from.
    counter: String,
    channel: String,
    queue: Queue,
    check: Duration,
    publish: Script,
    look: Script,
}
