//! A store that does as it is told.

use std::fmt;
use std::time::Duration;

use crate::{
    Lease, MaybeReady, MemoryStore, Save, Saved, StoreError, StoredToken, TokenKey, TokenStore,
};

/// What a [`ScriptedStore`] is asked to do.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum StoreCall<'a> {
    /// To give a token.
    Load(&'a TokenKey),
    /// To keep one.
    Save(&'a TokenKey, &'a Save<'a>),
    /// To forget one.
    Delete(&'a TokenKey),
    /// To give a lease.
    Lease(&'a TokenKey),
}

type Script = dyn Fn(StoreCall<'_>) -> MaybeReady<'static, Result<(), StoreError>> + Send + Sync;

/// A store in memory that asks its script before it does anything: that may count, take its time, or
/// fail.
///
/// ```
/// use mcp_auth::testing::{ScriptedStore, StoreCall};
/// use mcp_auth::{MaybeReady, StoreError, StoreErrorKind};
///
/// let read_only = ScriptedStore::new(|call| {
///     MaybeReady::ready(match call {
///         StoreCall::Load(_) => Ok(()),
///         _ => Err(StoreError::new(StoreErrorKind::Unavailable, "read-only")),
///     })
/// });
/// ```
pub struct ScriptedStore {
    inner: MemoryStore,
    script: Box<Script>,
}

impl ScriptedStore {
    /// An empty store with a script.
    pub fn new(
        script: impl Fn(StoreCall<'_>) -> MaybeReady<'static, Result<(), StoreError>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            inner: MemoryStore::new(),
            script: Box::new(script),
        }
    }

    fn ask<'a, T: Unpin + Send + 'a>(
        &'a self,
        call: StoreCall<'_>,
        then: impl FnOnce(&'a MemoryStore) -> MaybeReady<'a, Result<T, StoreError>> + Send + 'a,
    ) -> MaybeReady<'a, Result<T, StoreError>> {
        match (self.script)(call).now() {
            Ok(Ok(())) => then(&self.inner),
            Ok(Err(error)) => MaybeReady::ready(Err(error)),
            Err(asked) => MaybeReady::new(async move {
                asked.await?;
                then(&self.inner).await
            }),
        }
    }
}

impl TokenStore for ScriptedStore {
    fn load<'a>(
        &'a self,
        key: &'a TokenKey,
    ) -> MaybeReady<'a, Result<Option<StoredToken>, StoreError>> {
        self.ask(StoreCall::Load(key), |inner| inner.load(key))
    }

    fn save<'a>(
        &'a self,
        key: &'a TokenKey,
        save: Save<'a>,
    ) -> MaybeReady<'a, Result<Saved, StoreError>> {
        self.ask(StoreCall::Save(key, &save), move |inner| {
            inner.save(key, save)
        })
    }

    fn delete<'a>(&'a self, key: &'a TokenKey) -> MaybeReady<'a, Result<bool, StoreError>> {
        self.ask(StoreCall::Delete(key), |inner| inner.delete(key))
    }

    fn lease<'a>(
        &'a self,
        key: &'a TokenKey,
        life: Duration,
    ) -> MaybeReady<'a, Result<Option<Lease>, StoreError>> {
        self.ask(StoreCall::Lease(key), move |inner| inner.lease(key, life))
    }
}

impl fmt::Debug for ScriptedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedStore").finish_non_exhaustive()
    }
}
