//! `redis://…`: logins that many machines share, sealed under a key that Redis never has.
//!
//! Secrets come from variables, since a command line can be read by every process of the machine.

use std::fmt;
use std::sync::Arc;

use mcp_auth::{SealingKeys, SecretRef, SharedStore, StoreError};
use mcp_core::Error;
use mcp_toolkit::redis::{RedisConfig, RedisTokenStore};

/// The password of the user that the address names.
const PASSWORD: &str = "MCPT_REDIS_PASSWORD";
/// The key that seals, and the one before it, which still opens.
const KEY: &str = "MCPT_TOKEN_KEY";
const KEY_BEFORE: &str = "MCPT_TOKEN_KEY_BEFORE";

/// An address of Redis. Never printed: somebody may have put a password into it.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Address(String);

impl Address {
    /// Takes what looks like one.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (scheme, _) = text.split_once("://")?;
        let known = ["redis", "rediss", "valkey", "valkeys"];
        let first = scheme.split('-').next()?;
        known.contains(&first).then(|| Self(text.to_owned()))
    }

    pub(super) async fn open(&self) -> Result<SharedStore, Error> {
        let unusable = |error| Error::config_because("logins cannot be kept in Redis", error);
        let config = RedisConfig::from_url(&self.0).map_err(unusable)?;
        if config.has_literal_password() {
            return Err(Error::config(format!(
                "the address of Redis holds a password: put it into `{PASSWORD}` instead"
            )));
        }
        let config = match variable(PASSWORD)? {
            Some(password) => config.password(password),
            None => config,
        };
        let newest = variable(KEY)?.ok_or_else(|| {
            Error::config(format!(
                "logins in Redis are sealed: `{KEY}` is not set (`openssl rand -base64 32` makes a key)"
            ))
        })?;
        let older: Vec<_> = variable(KEY_BEFORE)?.into_iter().collect();
        let keys = SealingKeys::resolve(&newest, &older).await;
        let keys = keys.map_err(|error: StoreError| {
            Error::config_because(format!("`{KEY}` or `{KEY_BEFORE}` is of no use"), error)
        })?;
        let redis = config.open().map_err(unusable)?;
        Ok(Arc::new(RedisTokenStore::new(redis, keys)))
    }
}

/// A reference to a variable that is set.
fn variable(name: &str) -> Result<Option<SecretRef>, Error> {
    if std::env::var_os(name).is_none_or(|value| value.is_empty()) {
        return Ok(None);
    }
    let reference = SecretRef::env(name);
    let unusable = |error| Error::config_because(format!("`{name}` cannot be read"), error);
    reference.map(Some).map_err(unusable)
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}
