//! Counts what the audit writes, and looks into it for secrets.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_toolkit::middleware::{AuditRecord, AuditSink};

use super::world::CANARY;

/// The records so far, by user and by outcome.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Mutex<Counts>>);

#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) records: u64,
    pub(super) users: BTreeMap<String, u64>,
    pub(super) outcomes: BTreeMap<&'static str, u64>,
    pub(super) secrets: u64,
}

#[derive(Debug)]
struct Counting(Tally);

impl Tally {
    pub(super) fn sink(&self) -> impl AuditSink + 'static {
        Counting(self.clone())
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AuditSink for Counting {
    fn write(&mut self, record: &AuditRecord) -> io::Result<()> {
        let shown = format!("{}{record:?}", record.to_json());
        let mut counts = self.0.lock();
        counts.records += 1;
        counts.secrets += u64::from(shown.contains(CANARY));
        let user = record.principal.user().to_owned();
        *counts.users.entry(user).or_default() += 1;
        *counts.outcomes.entry(record.outcome.as_str()).or_default() += 1;
        Ok(())
    }
}
