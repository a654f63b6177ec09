//! What became of each refresh token: what it was given for, when, and whether that was ever shown.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Lives {
    /// Whether a used refresh token is taken again while nobody has shown what was given for it.
    pub(super) forgiving: bool,
    pub(super) forgiven: usize,
    pub(super) refreshed: usize,
    pub(super) early: usize,
    /// How many refresh tokens were refused.
    pub(super) refused: usize,
    /// The number of what a used refresh token was given for.
    next: HashMap<u64, u64>,
    shown: BTreeSet<u64>,
    issued: BTreeMap<u64, (Instant, Duration)>,
}

impl Lives {
    pub(super) fn issue(&mut self, number: u64, life: Duration) {
        self.issued.insert(number, (Instant::now(), life));
    }

    pub(super) fn show(&mut self, token: &str) {
        self.shown.extend(number(token));
    }

    /// What a used refresh token was given for, if nobody has shown that and it is forgiven.
    pub(super) fn lost_answer(&mut self, used: &str) -> Option<u64> {
        let next = *self.next.get(&number(used)?)?;
        let lost = self.forgiving && !self.shown.contains(&next);
        self.forgiven += usize::from(lost);
        lost.then_some(next)
    }

    /// A refresh token was used for another.
    pub(super) fn refresh(&mut self, used: &str, next: u64) {
        let Some(used) = number(used) else { return };
        self.shown.insert(used);
        self.next.insert(used, next);
        self.refreshed += 1;
        let left = self.issued.get(&used).map(|(at, life)| {
            let past = at.elapsed();
            (past, *life)
        });
        self.early += usize::from(left.is_some_and(|(past, life)| past < life / 2));
    }

    pub(super) fn forget_before(&mut self, oldest: u64) {
        self.next.retain(|used, _| *used >= oldest);
        self.issued = self.issued.split_off(&oldest);
        self.shown = self.shown.split_off(&oldest);
    }
}

/// `test-access-7` and `test-refresh-7` were given together.
fn number(token: &str) -> Option<u64> {
    token.rsplit('-').next()?.parse().ok()
}
