//! Public lists of tools, for all replicas.

use std::fmt;
use std::time::Duration;

use mcp_core::BoxFuture;
use mcp_core::auth::SealingKeys;
use mcp_core::replicas::{CatalogEntry, CatalogError, CatalogKey, CatalogStore};

use crate::Redis;
use crate::connection::Repeat;

/// What sealing adds at most, in bytes.
const SEAL: usize = 256;

/// A [`CatalogStore`] on Redis or Valkey: one key for each server, which ends with its list.
///
/// What lies there is what a server tells everybody, sealed all the same: whoever can write to Redis
/// could say what tools the agents see.
///
/// ```
/// use std::sync::Arc;
/// use mcp_core::auth::SealingKeys;
/// use mcp_core::replicas::CatalogStore;
/// use mcp_redis::{RedisCatalog, RedisConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = RedisConfig::from_url("redis://localhost")?.open()?;
/// let keys = SealingKeys::new(&"test-key-of-at-least-thirty-two-bytes".into())?;
/// let catalog: Arc<dyn CatalogStore> = Arc::new(RedisCatalog::new(redis, keys));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisCatalog {
    redis: Redis,
    keys: Option<SealingKeys>,
}

impl RedisCatalog {
    /// Lists under the prefix of this connection. What none of these keys has sealed is ignored.
    pub fn new(redis: Redis, keys: SealingKeys) -> Self {
        let keys = Some(keys);
        Self { redis, keys }
    }

    /// Lists that whoever can write to Redis can change. For a Redis that nobody else can reach; not
    /// readable by a catalog with keys, nor the other way round.
    pub fn in_plain_text(redis: Redis) -> Self {
        Self { redis, keys: None }
    }

    fn name(&self, key: &CatalogKey) -> String {
        self.redis.key("catalog", key.as_str())
    }

    async fn read(&self, key: &CatalogKey) -> Result<Option<Vec<u8>>, CatalogError> {
        let most = CatalogEntry::MOST_BYTES + SEAL;
        let name = self.name(key);
        // Nothing larger is brought here, whatever lies there.
        let mut get = redis::cmd("GETRANGE");
        get.arg(&name).arg(0).arg(most);
        let found: Vec<u8> = self
            .redis
            .run(&get, Repeat::Once)
            .await
            .map_err(CatalogError::because)?;
        match &self.keys {
            _ if found.is_empty() => Ok(None),
            _ if found.len() > most => Err(CatalogError::Unusable("it is too large")),
            None => Ok(Some(found)),
            Some(keys) => match keys.open(name.as_bytes(), &found) {
                Ok(content) => Ok(Some(content.to_vec())),
                Err(_) => Err(CatalogError::Unusable("no key opens it")),
            },
        }
    }

    async fn write(
        &self,
        key: &CatalogKey,
        content: &[u8],
        life: Duration,
    ) -> Result<(), CatalogError> {
        let name = self.name(key);
        let mut set = redis::cmd("SET");
        set.arg(&name);
        match &self.keys {
            None => set.arg(content),
            Some(keys) => {
                let sealed = keys.seal(name.as_bytes(), content);
                set.arg(sealed.map_err(CatalogError::because)?)
            }
        };
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        // A year is more than any cache keeps; Redis refuses what its clock cannot hold.
        set.arg("PX").arg(life.clamp(1, 365 * 24 * 3_600 * 1_000));
        let set = self.redis.run(&set, Repeat::Once).await;
        set.map_err(CatalogError::because)
    }

    async fn remove(&self, key: &CatalogKey) -> Result<(), CatalogError> {
        let mut remove = redis::cmd("DEL");
        remove.arg(self.name(key));
        let removed = self.redis.run::<u64>(&remove, Repeat::Once).await;
        removed.map(drop).map_err(CatalogError::because)
    }
}

impl CatalogStore for RedisCatalog {
    fn get<'a>(
        &'a self,
        key: &'a CatalogKey,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, CatalogError>> {
        Box::pin(self.read(key))
    }

    fn put<'a>(
        &'a self,
        key: &'a CatalogKey,
        content: &'a [u8],
        life: Duration,
    ) -> BoxFuture<'a, Result<(), CatalogError>> {
        Box::pin(self.write(key, content, life))
    }

    fn forget<'a>(&'a self, key: &'a CatalogKey) -> BoxFuture<'a, Result<(), CatalogError>> {
        Box::pin(self.remove(key))
    }
}

impl fmt::Debug for RedisCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCatalog")
            .field("redis", &self.redis)
            .field("sealed", &self.keys.is_some())
            .finish()
    }
}
