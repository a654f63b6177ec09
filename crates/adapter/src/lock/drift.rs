//! What changed since a lock was made.

use std::collections::BTreeSet;

use mcp_core::ServerId;
use serde::Serialize;
use serde_json::Value;

use super::ToolLock;
use crate::ToolSet;

/// Changes of one tool that are told one by one.
const MAX_CHANGES: usize = 50;

/// The differences between a lock and a set, by server and the tools' names there.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Drift {
    /// In the set, not in the lock.
    pub added: Vec<ToolRef>,
    /// In the lock, not in the set.
    pub removed: Vec<ToolRef>,
    /// In both, and not the same.
    pub changed: Vec<ChangedTool>,
}

/// A tool by its names.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ToolRef {
    /// The server, by its name here.
    pub server: String,
    /// The tool, by its name there.
    pub tool: String,
}

/// A tool whose definition changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChangedTool {
    /// Which one.
    pub tool: ToolRef,
    /// What changed in it; of more than fifty changes, the first.
    pub changes: Vec<FieldChange>,
}

/// One change within a definition. The values are the server's words.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FieldChange {
    /// Where, as a JSON pointer into the definition.
    pub pointer: String,
    /// What was there.
    pub before: Option<Value>,
    /// What is there now.
    pub after: Option<Value>,
}

impl Drift {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl ToolLock {
    /// What changed since the lock was made, on the servers of the set.
    pub fn drift(&self, set: &ToolSet) -> Drift {
        let mut drift = Drift::default();
        for (index, server) in set.servers().iter().enumerate() {
            let locked = self.server(&server.id);
            let mut seen = BTreeSet::new();
            for now in set.definitions_of(index) {
                seen.insert(now.name());
                let Some(before) = locked.and_then(|locked| locked.tool(now.name())) else {
                    drift.added.push(ToolRef::new(&server.id, now.name()));
                    continue;
                };
                if before.raw() == now.raw() || before.fingerprint() == now.fingerprint() {
                    continue;
                }
                let mut changes = Vec::new();
                let read = |raw: &str| serde_json::from_str(raw).unwrap_or_default();
                compare(
                    &read(before.raw()),
                    &read(now.raw()),
                    &mut String::new(),
                    &mut changes,
                );
                drift.changed.push(ChangedTool {
                    tool: ToolRef::new(&server.id, now.name()),
                    changes,
                });
            }
            let gone = locked.iter().flat_map(|locked| &locked.tools);
            let gone = gone.filter(|tool| !seen.contains(tool.name()));
            drift
                .removed
                .extend(gone.map(|tool| ToolRef::new(&server.id, tool.name())));
        }
        drift
    }
}

impl ToolRef {
    fn new(server: &ServerId, tool: &str) -> Self {
        Self {
            server: server.as_str().to_owned(),
            tool: tool.to_owned(),
        }
    }
}

/// Objects key by key, everything else as a whole. Depth is bounded by the parser.
fn compare(before: &Value, after: &Value, pointer: &mut String, changes: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        note(Some(before), Some(after), pointer, changes);
        return;
    };
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        match (old.get(key), new.get(key)) {
            (Some(before), Some(after)) => compare(before, after, pointer, changes),
            (before, after) => note(before, after, pointer, changes),
        }
        pointer.truncate(length);
    }
}

fn note(
    before: Option<&Value>,
    after: Option<&Value>,
    pointer: &str,
    changes: &mut Vec<FieldChange>,
) {
    if changes.len() < MAX_CHANGES {
        changes.push(FieldChange {
            pointer: pointer.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        });
    }
}
