//! A number that changes with every invalidation, for layers that keep what the cache gave them.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use mcp_core::Principal;

/// Principals that share a number: an invalidation of one costs the others of its shard a look into
/// the cache, and nothing else.
const SHARDS: usize = 256;

#[derive(Debug)]
pub(crate) struct Epochs {
    everybody: AtomicU64,
    shards: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for Epochs {
    fn default() -> Self {
        Self {
            everybody: AtomicU64::new(0),
            shards: (0..SHARDS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Epochs {
    /// Neither part ever becomes less, so their sum changes with each.
    pub(crate) fn of(&self, principal: &Principal) -> u64 {
        let own = self.shard(principal).load(Ordering::Acquire);
        own.wrapping_add(self.everybody.load(Ordering::Acquire))
    }

    /// The number changes when what this gives is dropped: after the invalidation, however it ends.
    /// One that changed before would let somebody note the new number with an old entry.
    pub(crate) fn next(&self, principal: Option<&Principal>) -> Next<'_> {
        Next(match principal {
            Some(principal) => self.shard(principal),
            None => &self.everybody,
        })
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the remainder is less than the length"
    )]
    fn shard(&self, principal: &Principal) -> &AtomicU64 {
        let hash = self.hasher.hash_one(principal);
        let index = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        &self.shards[index]
    }
}

pub(crate) struct Next<'a>(&'a AtomicU64);

impl Drop for Next<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
