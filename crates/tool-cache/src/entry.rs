//! What is kept, and until when it is good.

use std::sync::Arc;

use mcp_adapter::{ToolSet, ToolSetBuilder};
use mcp_core::auth::time::Instant;
use mcp_core::{Error, ToolListing};

use crate::flights::Validity;

/// A set, or why there is none.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) outcome: Result<ToolSet, Error>,
    pub(crate) life: Life,
    pub(crate) validity: Validity,
}

/// A list that its server calls public.
#[derive(Clone)]
pub(crate) struct PublicList {
    pub(crate) listing: Arc<ToolListing>,
    pub(crate) until: Instant,
    pub(crate) validity: Validity,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// Until then it is as good as new.
    pub(crate) until: Instant,
    /// Until then it may be given while it is being refreshed. Never before `until`.
    pub(crate) stale_until: Instant,
}

impl Life {
    pub(crate) fn until(until: Instant) -> Self {
        Self {
            until,
            stale_until: until,
        }
    }
}

impl Entry {
    pub(crate) fn fresh(&self, now: Instant) -> bool {
        self.validity.holds() && now < self.life.until
    }

    /// Whether it is good for anything still.
    pub(crate) fn kept(&self, now: Instant) -> bool {
        self.validity.holds() && now < self.life.stale_until
    }

    /// Whether it answers this builder's question now.
    pub(crate) fn usable(&self, now: Instant, builder: &ToolSetBuilder) -> bool {
        self.fresh(now)
            && self
                .outcome
                .as_ref()
                .map_or(true, |set| builder.rebind(set).is_some())
    }
}
