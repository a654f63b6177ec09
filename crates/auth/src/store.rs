//! Where tokens outlive a process, and where processes agree who refreshes.

mod changes;
mod error;
#[cfg(all(unix, feature = "file"))]
mod file;
mod key;
mod lease;
mod memory;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use changes::Changes;
pub use error::{StoreError, StoreErrorKind};
#[cfg(all(unix, feature = "file"))]
pub use file::FileStore;
pub use key::TokenKey;
pub use lease::Lease;
pub use memory::MemoryStore;

use crate::{MaybeReady, Token};

/// Keeps tokens by key, and lets one process at a time refresh one.
///
/// A refresh that rotates the refresh token is a transaction: take the lease, load, exchange, save,
/// release. Whoever does not get the lease looks with [`load`](TokenStore::load) when
/// [`changes`](TokenStore::changes) tells, and now and then anyway, until the other's token is there.
/// [`RefreshingToken::store`](crate::RefreshingToken::store) does all of this; an implementation only
/// keeps the promises of each method.
pub trait TokenStore: Debug + Send + Sync {
    /// The token of the key, if there is one.
    ///
    /// # Errors
    /// When the store cannot be read, or what it holds cannot be trusted.
    fn load<'a>(
        &'a self,
        key: &'a TokenKey,
    ) -> MaybeReady<'a, Result<Option<StoredToken>, StoreError>>;

    /// Keeps a token if the store holds what is expected, in one step that others see whole or not
    /// at all. Returns when it would survive the end of this process.
    ///
    /// With a lease, a save is refused once somebody else has been given a later one.
    ///
    /// # Errors
    /// When the store cannot be written, or the lease is lost.
    fn save<'a>(
        &'a self,
        key: &'a TokenKey,
        save: Save<'a>,
    ) -> MaybeReady<'a, Result<Saved, StoreError>>;

    /// Forgets the token of the key; says whether there was one.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn delete<'a>(&'a self, key: &'a TokenKey) -> MaybeReady<'a, Result<bool, StoreError>>;

    /// Tries to take the lease of the key; `None` while somebody else has it. Never waits for it.
    ///
    /// It ends when it is released or dropped, when its holder dies, or at the latest when `life`
    /// is over and somebody else asks. Each lease of a key has a higher fence than all before.
    ///
    /// # Errors
    /// When the store cannot be reached.
    fn lease<'a>(
        &'a self,
        key: &'a TokenKey,
        life: Duration,
    ) -> MaybeReady<'a, Result<Option<Lease>, StoreError>>;

    /// Gives the lease back. The default drops it, which is enough where its guard releases it.
    ///
    /// # Errors
    /// When the store cannot be reached; the lease then ends by itself.
    fn release<'a>(
        &'a self,
        key: &'a TokenKey,
        lease: Lease,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        let _ = key;
        drop(lease);
        MaybeReady::ready(Ok(()))
    }

    /// Whether the store has lost a writing of the key that it had confirmed, of the revision `known`:
    /// it was emptied, or went back to an older state, as after a crash. `found` is the revision that
    /// it has now. A deletion is no loss. The default never loses anything.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn has_lost<'a>(
        &'a self,
        key: &'a TokenKey,
        known: Revision,
        found: Option<Revision>,
    ) -> MaybeReady<'a, Result<bool, StoreError>> {
        let _ = (key, known, found);
        MaybeReady::ready(Ok(false))
    }

    /// Word of changes to a key: a token was saved or deleted, a lease given back. Only a hint: a
    /// change may be told twice, of another key, or never. The default tells of none.
    ///
    /// Returns when changes from now on are told, or soon after where that takes time: whoever waits
    /// looks again after this, and then at intervals.
    fn changes<'a>(&'a self, key: &'a TokenKey) -> MaybeReady<'a, Changes> {
        let _ = key;
        MaybeReady::ready(Changes::untold())
    }
}

/// What to do when a token has to be refreshed and the store, which replicas share, does not answer
/// ([`StoreErrorKind::Unreachable`]). A token that is still valid is used in any case.
///
/// A token without a refresh token is fetched without the store: nothing is lost by that.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum StorePolicy {
    /// Waits for the store as long as a fetch may take, then fails: two replicas that refresh at once
    /// would use one refresh token twice, and issuers end a grant for that (RFC 9700, section
    /// 4.14.2).
    #[default]
    Wait,
    /// Refreshes the token that this process holds, and stores the next one when the store is back.
    /// For one replica, or an issuer that does not rotate its refresh tokens.
    RefreshAlone,
}

/// A store that is passed around.
pub type SharedStore = Arc<dyn TokenStore>;

/// A token as a store holds it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredToken {
    /// The token. Its expiry is a point of calendar time, or never.
    pub token: Token,
    /// When it was received.
    pub obtained_at: SystemTime,
    /// Which writing of the key this is.
    pub revision: Revision,
}

impl StoredToken {
    /// A token with when it was received and which writing it is.
    pub fn new(token: Token, obtained_at: SystemTime, revision: Revision) -> Self {
        Self {
            token,
            obtained_at,
            revision,
        }
    }
}

/// Names one writing of a key. Only equality means anything; a store never uses one twice for a
/// key, not even after a deletion.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Revision(u64);

impl Revision {
    /// A revision by number.
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// One that has not been used before, for all practical purposes.
    pub fn unique() -> Self {
        let mut bytes = [0; 8];
        if getrandom::fill(&mut bytes).is_err() {
            return Self(fastrand::u64(..));
        }
        Self(u64::from_le_bytes(bytes))
    }
}

/// What to save, and on what condition.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Save<'a> {
    /// The token.
    pub token: &'a Token,
    /// When it was received.
    pub obtained_at: SystemTime,
    /// What the store must hold.
    pub expected: Expected,
    /// The lease under which it was had.
    pub lease: Option<&'a Lease>,
}

impl<'a> Save<'a> {
    /// Saves whatever the store holds, as after a login.
    pub fn new(token: &'a Token, obtained_at: SystemTime) -> Self {
        Self {
            token,
            obtained_at,
            expected: Expected::Anything,
            lease: None,
        }
    }

    /// Saves only if the store holds this.
    pub fn expecting(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    /// Saves only while this is the latest lease.
    pub fn under(mut self, lease: &'a Lease) -> Self {
        self.lease = Some(lease);
        self
    }
}

/// The condition of a save.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Expected {
    /// None.
    Anything,
    /// The key has no token.
    Nothing,
    /// The key's token is of this revision.
    Revision(Revision),
}

impl Expected {
    /// Whether the condition holds.
    pub fn is_met_by(self, found: Option<Revision>) -> bool {
        match self {
            Self::Anything => true,
            Self::Nothing => found.is_none(),
            Self::Revision(revision) => found == Some(revision),
        }
    }
}

/// How a save ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Saved {
    /// The token is kept, as this revision.
    Stored(Revision),
    /// The store holds something else; nothing was changed.
    Conflict,
}
