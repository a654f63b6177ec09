//! Counting calls over all replicas.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::num::NonZeroU32;
use std::time::Duration;

use super::PrincipalTag;
use crate::BoxFuture;

/// Counts what all replicas let through, on one clock: the carrier's.
pub trait SharedQuota: Debug + Send + Sync {
    /// Takes as many of the calls that are asked for as there are left.
    ///
    /// Dropping the future may have taken them all the same. Whoever implements it bounds the wait;
    /// callers bound it once more.
    ///
    /// # Errors
    /// When the carrier cannot be reached, or does not answer in time.
    fn take<'a>(&'a self, request: QuotaRequest<'a>) -> BoxFuture<'a, Result<Grant, QuotaError>>;
}

/// Calls that are asked for. A limit is `calls` in `per`: as many at once, then evenly (GCRA).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct QuotaRequest<'a> {
    /// Which limit: its name, which is the same in all replicas.
    pub limit: &'a str,
    /// Whose calls.
    pub who: PrincipalTag,
    /// How many calls in that time.
    pub calls: NonZeroU32,
    /// The time. Each call's part of it is at least a microsecond.
    pub per: Duration,
    /// How many are wanted; fewer may be given. None, where only whether somebody answers matters.
    pub wanted: u32,
    /// How many were let through before anybody was asked: they are counted whether there is room
    /// for them or not, before any is given.
    pub owed: u32,
}

impl<'a> QuotaRequest<'a> {
    /// One call of a limit of so many in so long a time.
    pub fn new(limit: &'a str, who: PrincipalTag, calls: NonZeroU32, per: Duration) -> Self {
        Self {
            limit,
            who,
            calls,
            per,
            wanted: 1,
            owed: 0,
        }
    }

    /// Asks for so many.
    pub fn wanting(mut self, calls: u32) -> Self {
        self.wanted = calls;
        self
    }

    /// Tells of calls that were let through before.
    pub fn owing(mut self, calls: u32) -> Self {
        self.owed = calls;
        self
    }
}

/// What was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Grant {
    /// How many calls may be made; at most what was wanted.
    pub calls: u32,
    /// Where none may be made: how long until one may.
    pub wait: Duration,
}

impl Grant {
    /// So many calls, or how long to wait for one.
    pub fn new(calls: u32, wait: Duration) -> Self {
        Self { calls, wait }
    }
}

/// Why nobody could be asked. Holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("the shared quota could not be asked")]
pub struct QuotaError {
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl QuotaError {
    /// No answer in time.
    pub fn late() -> Self {
        Self { source: None }
    }

    /// Something of the carrier's.
    pub fn because(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = Some(source.into());
        Self { source }
    }
}
