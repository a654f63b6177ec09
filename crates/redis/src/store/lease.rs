//! The right to refresh one token: lent for a short time, renewed while it is held.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_core::auth::time::Instant;
use mcp_core::auth::{Lease, StoreError};
use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout_at};

use super::Names;
use super::scripts::SCRIPTS;
use crate::connection::Repeat;
use crate::{Redis, RedisError};

/// More than the 10 s that a request to a token endpoint may take, and half of what others wait.
const TIME: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long the fence of a lease is remembered at least: a holder that comes back later than this is
/// kept from saving by the revision alone.
const MEMORY: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug)]
pub(super) struct Leases {
    redis: Redis,
    time: Duration,
}

/// One lease, shared by its holder and the task that renews it.
struct Held {
    redis: Redis,
    names: Names,
    fence: String,
    /// Until when nobody else can have it.
    until: Mutex<Instant>,
    /// Given back, or lost: nothing is left to do.
    over: AtomicBool,
    dropped: Notify,
}

/// Gives the lease back when it is dropped.
struct Guard(Arc<Held>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.dropped.notify_one();
    }
}

impl Leases {
    pub(super) fn new(redis: Redis) -> Self {
        Self { redis, time: TIME }
    }

    pub(super) fn set_time(&mut self, time: Duration) {
        self.time = time.clamp(Duration::from_millis(100), LONGEST);
    }

    /// A lease of at most `life`, if nobody has one.
    pub(super) async fn take(
        &self,
        names: Names,
        life: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let life = life.min(LONGEST);
        let time = self.time.min(life);
        let begun = Instant::now();
        let fence: Option<String> = self
            .redis
            .call(
                &SCRIPTS.lease,
                &[&names.lease],
                &[
                    millis(time).as_bytes(),
                    millis(life.max(MEMORY)).as_bytes(),
                    format!("{:016x}", fastrand::u64(..)).as_bytes(),
                ],
                Repeat::Once,
            )
            .await?;
        let Some(fence) = fence else {
            return Ok(None);
        };
        let number = fence
            .parse()
            .map_err(|_| RedisError::unexpected("Redis gave no fence"))?;
        let held = Arc::new(Held {
            redis: self.redis.clone(),
            names,
            fence,
            until: Mutex::new(begun + time),
            over: AtomicBool::new(false),
            dropped: Notify::new(),
        });
        // Ends when the lease is dropped, at the latest after giving it back.
        tokio::spawn(keep(Arc::clone(&held), self.time, begun + life));
        let known = Arc::clone(&held);
        let lease = Lease::new(number).with_check(move || known.is_held());
        Ok(Some(lease.with_guard(Guard(held))))
    }
}

/// Gives it back now, so that others hear of it before whoever had it goes on.
pub(super) async fn release(lease: Lease) -> Result<(), StoreError> {
    let Some(Guard(held)) = lease.guard() else {
        return Ok(());
    };
    Ok(held.give_back().await?)
}

/// Renews a lease until it is dropped, lost or over, and gives it back.
async fn keep(held: Arc<Held>, time: Duration, end: Instant) {
    let mut next = Instant::now() + time / 3;
    loop {
        let dropped = timeout_at(next.min(end), held.dropped.notified()).await;
        if dropped.is_ok() {
            break;
        }
        let begun = Instant::now();
        let time = time.min(end.saturating_duration_since(begun));
        if time.is_zero() {
            // Somebody else may have it; it is given back all the same if nobody does.
            held.dropped.notified().await;
            break;
        }
        match held.renew(time).await {
            Ok(true) => {
                *held.until.lock().unwrap_or_else(PoisonError::into_inner) = begun + time;
                next = begun + time / 3;
            }
            Ok(false) => {
                held.over.store(true, Ordering::Relaxed);
                return;
            }
            // Tried again soon: Redis may be back before the time is over.
            Err(error) => {
                tracing::debug!(kind = ?error.kind(), "lease_not_renewed");
                next = Instant::now() + time / 10;
            }
        }
    }
    // One try and one more: where both fail it ends by itself.
    if held.give_back().await.is_err() {
        sleep_until(Instant::now() + time / 10).await;
        let _ends_by_itself = held.give_back().await;
    }
}

impl Held {
    fn until(&self) -> Instant {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_held(&self) -> bool {
        !self.over.load(Ordering::Relaxed) && Instant::now() < self.until()
    }

    async fn renew(&self, time: Duration) -> Result<bool, RedisError> {
        let renewed: u8 = self
            .redis
            .call(
                &SCRIPTS.renew,
                &[&self.names.lease],
                &[
                    self.fence.as_bytes(),
                    millis(time).as_bytes(),
                    millis(MEMORY.max(time)).as_bytes(),
                ],
                Repeat::Once,
            )
            .await?;
        Ok(renewed == 1)
    }

    async fn give_back(&self) -> Result<(), RedisError> {
        if self.over.load(Ordering::Relaxed) {
            return Ok(());
        }
        let _whether_it_was_ours: u8 = self
            .redis
            .call(
                &SCRIPTS.release,
                &[&self.names.lease],
                &[
                    self.fence.as_bytes(),
                    self.names.channel.as_bytes(),
                    self.names.digest.as_bytes(),
                ],
                Repeat::Once,
            )
            .await?;
        // Not before: who stopped waiting for the answer leaves it to the one who renews it.
        self.over.store(true, Ordering::Relaxed);
        Ok(())
    }
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}
