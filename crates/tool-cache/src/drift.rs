//! Noticing that a server's definitions are no longer what they were.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mcp_adapter::ToolSet;
use mcp_core::auth::time::Instant;
use mcp_core::{ServerId, ToolDefinition};
use moka::future::Cache;
use parking_lot::Mutex;

use crate::CacheKey;

/// Keys whose definitions are remembered after their entries have gone. Those that are loaded often
/// stay, and one for each server is enough.
const WITNESSES: u64 = 256;

/// How often one server's drift is told. A server may write the time of day into its descriptions.
const EVERY: Duration = Duration::from_secs(30);

/// What some have seen. A tool that is new or gone says something of the one who asked; a tool that
/// has the same name and another definition, seen with the same credentials, says that the server
/// changed.
#[derive(Debug)]
pub(crate) struct Witnesses {
    seen: Cache<CacheKey, Arc<[Arc<ToolDefinition>]>>,
    told: Mutex<HashMap<ServerId, Instant>>,
}

impl Witnesses {
    pub(crate) fn new() -> Self {
        Self {
            seen: Cache::new(WITNESSES),
            told: Mutex::default(),
        }
    }

    /// Whether a set shows that its server changed, and it is time to say so.
    pub(crate) async fn see(&self, key: &CacheKey, set: &ToolSet, now: Instant) -> bool {
        let before = self.seen.get(key).await;
        let definitions = set.iter().map(|tool| Arc::clone(tool.definition()));
        self.seen.insert(key.clone(), definitions.collect()).await;
        let changed = before.is_some_and(|before| differs(&before, set));
        changed && self.is_time(&key.server, now)
    }

    fn is_time(&self, server: &ServerId, now: Instant) -> bool {
        let mut told = self.told.lock();
        told.retain(|_, at| now.saturating_duration_since(*at) < EVERY);
        let first = !told.contains_key(server);
        if first {
            told.insert(server.clone(), now);
        }
        first
    }
}

fn differs(before: &[Arc<ToolDefinition>], set: &ToolSet) -> bool {
    let before: HashMap<_, _> = before.iter().map(|tool| (tool.name(), tool)).collect();
    set.iter().any(|tool| {
        let now = tool.definition();
        before.get(now.name()).is_some_and(|before| {
            // Spelling is no difference; it is looked at where the text differs.
            !Arc::ptr_eq(before, now)
                && before.raw() != now.raw()
                && before.fingerprint() != now.fingerprint()
        })
    })
}
