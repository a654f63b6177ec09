//! Sending what is to be forgotten.

use std::sync::Arc;
use std::time::Duration;

use mcp_core::auth::Revision;
use mcp_core::replicas::Invalidation;
use tokio::time::sleep;

use super::Shared;
use super::message::Body;
use crate::RedisError;
use crate::connection::{Repeat, pause};

/// What is said within this time goes together: a flood of refusals is few messages.
const TOGETHER: Duration = Duration::from_millis(20);

/// Counts a message and publishes it, in one step. One that cannot be counted, because Redis is full,
/// is published all the same.
pub(super) const PUBLISH: &str = r"
local head = '-'
local count = redis.call('HGET', KEYS[1], 'count')
local done = true
if not count then
  count = ARGV[1]
  done = redis.pcall('HSET', KEYS[1], 'count', count, 'number', 0)
end
if type(done) ~= 'table' or not done.err then
  done = redis.pcall('HINCRBY', KEYS[1], 'number', 1)
end
if type(done) == 'number' then
  head = count .. ':' .. string.format('%d', done)
elseif not string.find(done.err, 'OOM', 1, true) then
  return done
end
return redis.call('PUBLISH', ARGV[2], head .. ' ' .. ARGV[3])
";

pub(super) async fn speak(shared: Arc<Shared>) {
    let mut failures = 0_u32;
    loop {
        let batch = shared.queue.next().await;
        match shared.publish(&batch.things).await {
            Ok(()) => {
                tracing::debug!(things = batch.things.len(), "invalidations_told");
                batch.sent();
                failures = 0;
                sleep(TOGETHER).await;
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(kind = ?error.kind(), %error, "invalidations_untold");
                }
                drop(batch);
                sleep(pause(failures)).await;
                failures = failures.saturating_add(1);
            }
        }
    }
}

impl Shared {
    async fn publish(&self, things: &[Invalidation]) -> Result<(), RedisError> {
        let body = Body {
            from: self.name.clone(),
            forget: things.to_vec(),
        };
        let body = serde_json::to_vec(&body)
            .map_err(|_| RedisError::unexpected("an invalidation cannot be written"))?;
        let count = format!("{:016x}", Revision::unique().number());
        let arguments = [count.as_bytes(), self.channel.as_bytes(), &body];
        // Said twice is no more than said once.
        let keys = [&*self.counter];
        let told = self
            .redis
            .call(&self.publish, &keys, &arguments, Repeat::Once);
        let _listeners: u64 = told.await?;
        Ok(())
    }
}
