//! What must come of what users do: nobody sees what is another's, nothing is stale or late, and no
//! failure is without a cause.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_toolkit::adapter::ToolSet;
use mcp_toolkit::auth::time::Instant;
use mcp_toolkit::core::{Error, ErrorKind, ToolOutput};

use super::LOAD_SINCE;
use crate::soak::world::World;

/// Credentials that change bring back what was kept for the next ones; for as long as the cache keeps
/// anything, and a load takes.
const STALE: Duration = Duration::from_secs(30);

/// Beyond its deadline a call may take what the machine needs to notice that.
const SLACK: Duration = Duration::from_millis(1_500);

/// Knows what is true, and what users saw before.
pub(in crate::soak) struct Judge {
    world: Arc<World>,
    seen: Mutex<Seen>,
    latest: Mutex<Duration>,
}

/// When a user was shown newer tools by a server, and how new.
type Seen = HashMap<(&'static str, String), VecDeque<(Instant, u64)>>;

impl Judge {
    pub(super) fn new(world: Arc<World>) -> Self {
        Self {
            world,
            seen: Mutex::default(),
            latest: Mutex::default(),
        }
    }

    /// How long something went on, at most, after it should have been over.
    pub(in crate::soak) fn latest(&self) -> Duration {
        *lock(&self.latest)
    }

    pub(super) fn violation(&self, what: String) {
        self.world.violation(what);
    }

    /// What took until now had a deadline.
    pub(super) fn within(&self, what: &str, began: Instant, limit: Duration) {
        let late = began.elapsed().saturating_sub(limit);
        let mut latest = lock(&self.latest);
        *latest = late.max(*latest);
        if late > SLACK {
            let what = format!("{what} was over {late:?} after its deadline of {limit:?}");
            self.world.violation(what);
        }
    }

    /// The answer belongs to the asker, and to the question.
    pub(super) fn answered(
        &self,
        output: &ToolOutput,
        user: &str,
        nonce: u64,
        fate: &str,
    ) -> &'static str {
        let (said, own) = (output.text(), format!("{user} {nonce}"));
        if said != own {
            self.world
                .violation(format!("`{own}` was answered `{said}`"));
            return "crossed";
        }
        if output.is_error() != (fate == "error") {
            self.world
                .violation(format!("an error is no error: {fate}"));
        }
        if output.is_error() {
            "tool_error"
        } else {
            "ok"
        }
    }

    /// Of the tools of a user none are anybody else's, and none older than those `known` before.
    pub(super) fn look_at(
        &self,
        server: &'static str,
        user: &str,
        set: &ToolSet,
        known: Option<u64>,
    ) {
        let mut version = None;
        for tool in set.iter() {
            match tool.name().split_once('_') {
                Some(("private", owner)) if owner != user => {
                    let what = format!("{user} sees tools of {owner} at {server}");
                    self.world.violation(what);
                }
                Some(("version", number)) => version = number.parse::<u64>().ok(),
                _ => {}
            }
        }
        let Some(version) = version else {
            return;
        };
        if known.is_some_and(|known| version < known) {
            let known = known.unwrap_or_default();
            let what = format!("{user} sees tools {version} at {server} after {known}");
            self.world.violation(what);
        }
        let mut seen = lock(&self.seen);
        let seen = seen.entry((server, user.to_owned())).or_default();
        if seen.back().is_none_or(|(_, newest)| *newest < version) {
            seen.push_back((Instant::now(), version));
        }
    }

    /// The newest tools of each server that the user has seen so long ago that nothing older may be
    /// kept any more.
    pub(super) fn known(&self, user: &str) -> HashMap<&'static str, u64> {
        let now = Instant::now();
        let mut known = HashMap::new();
        let mut seen = lock(&self.seen);
        for ((server, _), seen) in seen.iter_mut().filter(|((_, it), _)| it == user) {
            let is_over = |at: Option<&(Instant, u64)>| at.is_some_and(|at| now - at.0 > STALE);
            while is_over(seen.get(1)) {
                seen.pop_front();
            }
            if let Some((_, version)) = seen.front().filter(|first| is_over(Some(first))) {
                known.insert(*server, *version);
            }
        }
        known
    }

    /// Whether a server or what it depends on failed of late.
    pub(super) fn recently_bad(&self, server: &str, user: &str, since: Instant) -> bool {
        let since = since.checked_sub(LOAD_SINCE).unwrap_or(since);
        let kinds = [
            ErrorKind::Connect,
            ErrorKind::HttpStatus,
            ErrorKind::CredentialUnavailable,
        ];
        kinds
            .into_iter()
            .any(|kind| self.world.faults.explain(kind, server, user, since))
    }

    pub(super) fn must_be_explained(
        &self,
        what: &str,
        error: &Error,
        server: &str,
        user: &str,
        since: Instant,
    ) {
        if !self.world.faults.explain(error.kind(), server, user, since) {
            let kind = error.kind();
            let causes = causes(error);
            let what = format!("{what} for {user} at {server}: {kind} without a cause: {causes}");
            self.world.violation(what);
        }
    }
}

fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
