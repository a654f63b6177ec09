//! Tokens that replicas share, and who of them refreshes.

mod lease;
mod scripts;
mod value;
mod waiting;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_core::auth::time::{SharedClock, SystemClock};
use mcp_core::auth::{
    Changes, Expected, Lease, MaybeReady, Revision, Save, Saved, SealingKeys, StoreError,
    StoreErrorKind, StoredToken, TokenKey, TokenStore,
};
use redis::Value;

use self::lease::Leases;
use self::scripts::{SCRIPTS, hex};
use self::value::{HEAD, Lives, Sealing};
use self::waiting::Waiting;
use crate::connection::Repeat;
use crate::{Redis, RedisError};

/// How long a token is kept whose refresh token's end is not known, after its last refresh.
const REFRESH_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long a token without a refresh token is kept after its end.
const GRACE: Duration = Duration::from_secs(60);
/// How long what has no end of its own is kept after its last use.
const IDLE_LIFE: Duration = Duration::from_secs(180 * 24 * 3600);
/// Nothing is kept longer: it keeps points in time from overflowing.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// Keeps tokens in Redis or Valkey, sealed, for any number of replicas: one of them refreshes at a
/// time, and the others hear of the new token.
///
/// Every key ends by itself, so that users who never come back do not fill Redis:
///
/// | key | one for each | ends | set by |
/// |---|---|---|---|
/// | a token with a refresh token | user and server | with the refresh token, or 90 days after the last refresh where its end is not known | [`refresh_life`](Self::refresh_life) |
/// | a token without one | user and server | a minute after the token | [`grace`](Self::grace) |
/// | what has no end: of `mcp-oauth` the account of a login, the client's registration and the issuer that a client belongs to; tokens that never end | user and server; authorization server; client | 180 days after its last use | [`idle_life`](Self::idle_life) |
/// | that something was deleted, in 32 bytes | | when what was deleted would have ended | |
/// | a lease | token that is being refreshed | soon after | [`lease_time`](Self::lease_time) |
///
/// Redis must not evict keys (`maxmemory-policy noeviction`): an evicted token is a user who has to
/// log in again.
///
/// A key that is lost in a crash of Redis is restored by any replica that holds the token. While
/// Redis is away, tokens that are held stay in use; see
/// [`StorePolicy`](mcp_core::auth::StorePolicy) for what happens when one ends.
///
/// ```
/// use std::sync::Arc;
/// use mcp_core::auth::{SealingKeys, SharedStore};
/// use mcp_redis::{RedisConfig, RedisTokenStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = RedisConfig::from_url("redis://localhost")?.open()?;
/// let key = "test-key-of-at-least-thirty-two-bytes".into();
/// let store: SharedStore = Arc::new(RedisTokenStore::new(redis, SealingKeys::new(&key)?));
/// # Ok(())
/// # }
/// ```
///
/// Cloning copies pointers; clones share everything but settings made later.
#[derive(Clone)]
pub struct RedisTokenStore {
    redis: Redis,
    sealing: Sealing,
    leases: Leases,
    waiting: Arc<Waiting>,
    lives: Lives,
    clock: SharedClock,
}

impl RedisTokenStore {
    /// A store whose values are worth nothing without the keys.
    pub fn new(redis: Redis, keys: SealingKeys) -> Self {
        Self::with(redis, Sealing::Keys(keys))
    }

    /// A store whose values whoever can read Redis, its backups or its replication can use. For a
    /// Redis that nobody else can reach; not readable by a store with keys, nor the other way round.
    pub fn in_plain_text(redis: Redis) -> Self {
        Self::with(redis, Sealing::Plain)
    }

    fn with(redis: Redis, sealing: Sealing) -> Self {
        Self {
            leases: Leases::new(redis.clone()),
            waiting: Arc::new(Waiting::new(redis.clone())),
            redis,
            sealing,
            lives: Lives {
                refresh: REFRESH_LIFE,
                grace: GRACE,
                idle: IDLE_LIFE,
            },
            clock: Arc::new(SystemClock),
        }
    }

    /// How long a token is kept whose refresh token's end is not known, counted from each refresh
    /// (default 90 days).
    pub fn refresh_life(mut self, life: Duration) -> Self {
        self.lives.refresh = life.min(LONGEST);
        self
    }

    /// How long a token is kept after its end (default a minute), for clocks that differ.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.lives.grace = grace.min(LONGEST);
        self
    }

    /// How long what has no end of its own is kept after it was last read or written (default 180
    /// days): accounts and registrations of `mcp-oauth`, and tokens that never end. An account is used
    /// at each refresh of its token. Not shorter than refresh tokens live unused: a user whose account
    /// has ended logs in again. A registration that has ended is made anew at the next login, and
    /// logins that were had with it stay.
    pub fn idle_life(mut self, life: Duration) -> Self {
        self.lives.idle = life.min(LONGEST);
        self
    }

    /// How long a lease lasts without being renewed (default 15 s): the time after which a replica
    /// that died holds nobody up, and for which one that is cut off from Redis may go on. More than a
    /// request to the token endpoint may take, or two replicas can refresh at once.
    pub fn lease_time(mut self, time: Duration) -> Self {
        self.leases.set_time(time);
        self
    }

    /// Where calendar time comes from.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// The connection.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    async fn read(&self, key: &TokenKey) -> Result<Option<StoredToken>, StoreError> {
        let names = Names::new(&self.redis, key);
        let mut get = redis::cmd("GET");
        get.arg(&names.token);
        let found: Option<Vec<u8>> = self.redis.run(&get, Repeat::Once).await?;
        let Some(found) = found.filter(|found| found.len() > HEAD) else {
            return Ok(None);
        };
        let stored = self.sealing.open(&names.token, &found)?;
        if let Some(life) = self.lives.after_use(&stored.token) {
            self.keep_on(&names, life).await;
        }
        Ok(Some(stored))
    }

    /// Lets what was used live on. That it was read counts, whatever becomes of this.
    async fn keep_on(&self, names: &Names, life: u128) {
        let mut keep = redis::cmd("PEXPIRE");
        keep.arg(&names.token).arg(life.to_string());
        let kept: Result<u8, _> = self.redis.run(&keep, Repeat::Once).await;
        if let Err(error) = kept {
            tracing::debug!(%error, "the life of a stored record is not prolonged");
        }
    }

    async fn write(&self, key: &TokenKey, save: Save<'_>) -> Result<Saved, StoreError> {
        let names = Names::new(&self.redis, key);
        let body = self.sealing.seal(&names.token, &save)?;
        let life = self.lives.of(&save, self.clock.wall());
        let condition = match save.expected {
            Expected::Anything => "any".to_owned(),
            Expected::Nothing => "none".to_owned(),
            Expected::Revision(revision) => hex(revision.number()),
            _ => {
                return Err(StoreError::new(
                    StoreErrorKind::Unavailable,
                    "Redis does not know this condition",
                ));
            }
        };
        let fence = save.lease.map(|lease| lease.fence().to_string());
        let answer: String = self
            .redis
            .call(
                &SCRIPTS.save,
                &[&names.token, &names.lease],
                &[
                    condition.as_bytes(),
                    fence.unwrap_or_default().as_bytes(),
                    // Tells a writing whose answer was lost when it is made again. One that looked
                    // like the last would not be kept: these never do.
                    hex(fastrand::u64(..)).as_bytes(),
                    &body,
                    life.to_string().as_bytes(),
                    names.channel.as_bytes(),
                    names.digest.as_bytes(),
                ],
                Repeat::Once,
            )
            .await?;
        match answer.as_str() {
            "conflict" => Ok(Saved::Conflict),
            "lost" => Err(StoreError::new(
                StoreErrorKind::LeaseLost,
                "the lease was given to somebody else",
            )),
            revision => u64::from_str_radix(revision, 16)
                .map(|number| Saved::Stored(Revision::new(number)))
                .map_err(|_| RedisError::unexpected("Redis gave no revision").into()),
        }
    }

    async fn remove(&self, key: &TokenKey) -> Result<bool, StoreError> {
        let names = Names::new(&self.redis, key);
        let mark = self.lives.refresh.as_millis().max(1).to_string();
        let deleted: u8 = self
            .redis
            .call(
                &SCRIPTS.delete,
                &[&names.token],
                &[
                    mark.as_bytes(),
                    names.channel.as_bytes(),
                    names.digest.as_bytes(),
                ],
                // Whoever deletes something first has it; a second try could not tell.
                Repeat::Never,
            )
            .await?;
        Ok(deleted == 1)
    }

    async fn lost(&self, key: &TokenKey, known: Revision) -> Result<bool, StoreError> {
        let names = Names::new(&self.redis, key);
        let mut head = redis::cmd("GETRANGE");
        head.arg(&names.token).arg(0).arg(HEAD - 1);
        let head: Value = self.redis.run(&head, Repeat::Once).await?;
        let Value::BulkString(head) = head else {
            return Err(RedisError::unexpected("Redis gave no revision").into());
        };
        if head.is_empty() {
            return Ok(true);
        }
        Ok(value::revision(&head)?.number() < known.number())
    }
}

impl TokenStore for RedisTokenStore {
    fn load<'a>(
        &'a self,
        key: &'a TokenKey,
    ) -> MaybeReady<'a, Result<Option<StoredToken>, StoreError>> {
        MaybeReady::new(self.read(key))
    }

    fn save<'a>(
        &'a self,
        key: &'a TokenKey,
        save: Save<'a>,
    ) -> MaybeReady<'a, Result<Saved, StoreError>> {
        MaybeReady::new(self.write(key, save))
    }

    fn delete<'a>(&'a self, key: &'a TokenKey) -> MaybeReady<'a, Result<bool, StoreError>> {
        MaybeReady::new(self.remove(key))
    }

    fn lease<'a>(
        &'a self,
        key: &'a TokenKey,
        life: Duration,
    ) -> MaybeReady<'a, Result<Option<Lease>, StoreError>> {
        MaybeReady::new(self.leases.take(Names::new(&self.redis, key), life))
    }

    fn release<'a>(
        &'a self,
        _: &'a TokenKey,
        lease: Lease,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        MaybeReady::new(lease::release(lease))
    }

    fn has_lost<'a>(
        &'a self,
        key: &'a TokenKey,
        known: Revision,
        found: Option<Revision>,
    ) -> MaybeReady<'a, Result<bool, StoreError>> {
        // Revisions of a key only grow, by the server's clock.
        match found {
            Some(found) => MaybeReady::ready(Ok(found.number() < known.number())),
            None => MaybeReady::new(self.lost(key, known)),
        }
    }

    fn changes<'a>(&'a self, key: &'a TokenKey) -> MaybeReady<'a, Changes> {
        MaybeReady::ready(self.waiting.changes(key.digest()))
    }
}

impl fmt::Debug for RedisTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTokenStore")
            .field("redis", &self.redis)
            .field("sealing", &self.sealing)
            .finish_non_exhaustive()
    }
}

/// What belongs to one token. Its keys have the same part in braces: in a cluster they lie together.
struct Names {
    digest: String,
    token: String,
    lease: String,
    channel: String,
}

impl Names {
    fn new(redis: &Redis, key: &TokenKey) -> Self {
        let digest = key.digest();
        Self {
            token: redis.key("token", &digest),
            lease: redis.key("lease", &digest),
            channel: redis.channel(waiting::CHANNEL),
            digest,
        }
    }
}
