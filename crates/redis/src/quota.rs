//! Counting calls over all replicas.

use std::sync::Arc;
use std::time::Duration;

use mcp_core::BoxFuture;
use mcp_core::replicas::{Grant, QuotaError, QuotaRequest, SharedQuota};

use crate::connection::{Repeat, Script};
use crate::{Redis, RedisError};

/// The generic cell rate algorithm: a key holds until when (in µs of Redis' clock) the calls so far
/// fill the limit, and ends then. A clock that was set back, or a primary whose clock is behind, makes
/// nobody wait for longer than the limit's time.
const TAKE: &str = r"
local each, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local wanted, owed = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local room = each * burst
local before = tonumber(redis.call('GET', KEYS[1]) or now)
local full = math.min(math.max(before, now), now + 2 * room) + owed * each
local given = math.max(0, math.min(wanted, math.floor((now + room - full) / each)))
full = full + given * each
if given > 0 or owed > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1)
end
local wait = 0
if given == 0 then
  wait = math.max(0, full + each - now - room)
end
return { given, wait }
";

/// A [`SharedQuota`] on Redis or Valkey: one script for each request, on Redis' clock.
///
/// What Redis has lost, in a crash or by a flush, was not counted.
///
/// ```
/// use std::sync::Arc;
/// use mcp_core::replicas::SharedQuota;
/// use mcp_redis::{RedisConfig, RedisQuota};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = RedisConfig::from_url("redis://localhost")?.open()?;
/// let quota: Arc<dyn SharedQuota> = Arc::new(RedisQuota::new(redis));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RedisQuota {
    redis: Redis,
    take: Arc<Script>,
}

impl RedisQuota {
    /// Quotas under the prefix of this connection.
    pub fn new(redis: Redis) -> Self {
        let take = Arc::new(Script::new(TAKE));
        Self { redis, take }
    }

    async fn run(&self, request: QuotaRequest<'_>) -> Result<Grant, RedisError> {
        let each = request.per / request.calls.get();
        let each = u64::try_from(each.as_micros()).unwrap_or(u64::MAX);
        // Numbers of Lua are exact up to 2^53: thirty years for all calls of a limit are within.
        let most = (1_u64 << 50) / u64::from(request.calls.get());
        let each = each.clamp(1, most.max(1)).to_string();
        let burst = request.calls.to_string();
        let (wanted, owed) = (request.wanted.to_string(), request.owed.to_string());
        let place = format!("{}:{}", request.limit, request.who);
        let key = self.redis.key("quota", &place);
        let arguments = [&each, &burst, &wanted, &owed].map(String::as_bytes);
        // Taken twice is not the same as taken once.
        let keys = [&*key];
        let answer = self
            .redis
            .call(&self.take, &keys, &arguments, Repeat::Never);
        let (calls, wait): (u32, u64) = answer.await?;
        Ok(Grant::new(calls, Duration::from_micros(wait)))
    }
}

impl SharedQuota for RedisQuota {
    fn take<'a>(&'a self, request: QuotaRequest<'a>) -> BoxFuture<'a, Result<Grant, QuotaError>> {
        Box::pin(async move { self.run(request).await.map_err(QuotaError::because) })
    }
}
