//! Whether the tools of a principal's child are still those that were listed.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_auth::Fingerprint;
use mcp_core::{CallContext, ToolListing};
use tokio::sync::watch;

use crate::connection::Connection;

/// The pause before a server is listened to again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What was last listed, whichever child gave it.
#[derive(Debug, Default)]
pub(crate) struct Listed(Mutex<Option<Fingerprint>>);

impl Listed {
    pub(crate) fn note(&self, listing: &ToolListing) {
        *self.last() = Some(fingerprint(listing));
    }

    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        *self.last()
    }

    fn last(&self) -> MutexGuard<'_, Option<Fingerprint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of the tools as the server wrote them, in whatever order.
fn fingerprint(listing: &ToolListing) -> Fingerprint {
    let mut tools: Vec<_> = listing.tools.iter().map(|tool| tool.raw()).collect();
    let skipped = listing.skipped.iter().map(|skipped| &*skipped.name);
    tools.sort_unstable();
    Fingerprint::of(tools.into_iter().chain(skipped).map(str::as_bytes))
}

/// Counts changes of tools that the child does not tell of by itself: against what the child before
/// it had, and those of servers that tell only who listens. For a child that is ready.
pub(crate) async fn watch(connection: &Connection, changes: &watch::Sender<u64>) -> Infallible {
    let context = CallContext::new(connection.principal.clone());
    let duplex = &connection.duplex;
    let mut before = connection.listed_before;
    let mut pause = FIRST_PAUSE;
    while duplex.must_listen() {
        // Listened to first, so that no change falls between the two.
        let compared = compare(connection, before, &context, changes);
        let (ended, ()) = tokio::join!(biased; duplex.listen(&context), compared);
        if let Err(error) = ended {
            tracing::debug!(%error, "changed tools are not told");
            break;
        }
        // Meanwhile nothing is heard: what changed is found when it is listened to again.
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        before = connection.listed.fingerprint();
    }
    if !duplex.must_listen() {
        compare(connection, before, &context, changes).await;
    }
    std::future::pending().await
}

async fn compare(
    connection: &Connection,
    before: Option<Fingerprint>,
    context: &CallContext,
    changes: &watch::Sender<u64>,
) {
    let Some(before) = before else {
        return;
    };
    match connection.duplex.list_tools(context).await {
        Ok(listing) => {
            connection.listed.note(&listing);
            if fingerprint(&listing) != before {
                changes.send_modify(|count| *count += 1);
            }
        }
        Err(error) => tracing::debug!(%error, "the tools of a new child are not known"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mcp_core::{ServerInfo, SkippedTool, ToolDefinition};
    use serde_json::json;

    use super::*;

    #[test]
    fn order_is_no_change() {
        let tool = |name: &str| ToolDefinition::from_parts(name, "", &json!({})).unwrap();
        let listing = |names: &[&str]| {
            let mut listing = ToolListing::new(ServerInfo::default());
            listing.tools = names.iter().map(|name| Arc::new(tool(name))).collect();
            listing
        };
        let one = fingerprint(&listing(&["a", "b"]));
        assert_eq!(one, fingerprint(&listing(&["b", "a"])));
        assert_ne!(one, fingerprint(&listing(&["a"])));
        let mut skipping = listing(&["a", "b"]);
        skipping.skipped.push(SkippedTool::new("c", "broken"));
        assert_ne!(one, fingerprint(&skipping));
    }
}
