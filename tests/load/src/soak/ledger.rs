//! What was done, and how it ended.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts of a run.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By what was done, where, and how it ended.
    done: BTreeMap<(&'static str, &'static str, &'static str), u64>,
    /// Calls that came to the middleware, by user.
    calls: BTreeMap<String, u64>,
}

impl Ledger {
    pub(super) fn note(&self, what: &'static str, at: &'static str, end: &'static str) {
        *self.lock().done.entry((what, at, end)).or_default() += 1;
    }

    pub(super) fn call_begins(&self, user: &str) {
        *self.lock().calls.entry(user.to_owned()).or_default() += 1;
    }

    pub(super) fn calls(&self) -> BTreeMap<String, u64> {
        self.lock().calls.clone()
    }

    pub(super) fn operations(&self) -> u64 {
        self.lock().done.values().sum()
    }

    /// A table of it.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        for ((what, at, end), count) in &self.lock().done {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{what:<12} {at:<10} {end:<24} {count:>9}");
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
