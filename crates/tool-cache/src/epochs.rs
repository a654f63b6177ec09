//! A number that changes with every invalidation, for layers that keep what the cache gave them.

use std::sync::atomic::{AtomicU64, Ordering};

use mcp_core::Principal;
use mcp_core::replicas::PrincipalTag;

/// Principals of one group share a number: an invalidation of one costs the others of its group a
/// look into the cache, and nothing else. Groups are those of tags, so that a replica that knows no
/// more than a tag finds the number.
#[derive(Debug)]
pub(crate) struct Epochs {
    everybody: AtomicU64,
    groups: Box<[AtomicU64; 256]>,
}

impl Default for Epochs {
    fn default() -> Self {
        Self {
            everybody: AtomicU64::new(0),
            groups: Box::new([const { AtomicU64::new(0) }; 256]),
        }
    }
}

impl Epochs {
    /// Neither part ever becomes less, so their sum changes with each.
    pub(crate) fn of(&self, principal: &Principal) -> u64 {
        let group = PrincipalTag::shard_of(principal);
        let own = self.group(group).load(Ordering::Acquire);
        own.wrapping_add(self.everybody.load(Ordering::Acquire))
    }

    /// The number of a group, or everybody's, changes when what this gives is dropped: after the
    /// invalidation, however it ends. One that changed before would let somebody note the new number
    /// with an old entry.
    pub(crate) fn next(&self, group: Option<u8>) -> Next<'_> {
        Next(group.map_or(&self.everybody, |group| self.group(group)))
    }

    fn group(&self, group: u8) -> &AtomicU64 {
        &self.groups[usize::from(group)]
    }
}

pub(crate) struct Next<'a>(&'a AtomicU64);

impl Drop for Next<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
