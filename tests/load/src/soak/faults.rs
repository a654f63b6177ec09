//! What was done to the users, so that each of their errors can be explained by it, or not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mcp_toolkit::auth::time::Instant;
use mcp_toolkit::core::ErrorKind;

/// Nobody waits longer for the consequences of a fault.
const REMEMBERED: Duration = Duration::from_secs(30);

/// What can be done to a request, a user or a server.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Fault {
    /// The connection closed before or instead of the answer.
    Reset,
    /// The connection closed within the answer.
    Cut,
    /// An answer of 500 or 503.
    Status,
    /// An answer that is not what the protocol wants.
    Garbage,
    /// The token was refused (401).
    Refused,
    /// Access was refused (403).
    Forbidden,
    /// The server was down, and back at the same port.
    Restart,
    /// The server forgot its sessions.
    Forgot,
    /// Whoever issues tokens was down.
    NoToken,
    /// Everything of a user was given up.
    Logout,
    /// The child ended itself.
    Exit,
}

impl Fault {
    /// The kinds of errors that it may come to.
    fn explains(self, kind: ErrorKind) -> bool {
        use ErrorKind as Kind;
        match self {
            Self::Reset | Self::Cut => {
                matches!(kind, Kind::Connect | Kind::OutcomeUnknown | Kind::Protocol)
            }
            Self::Status => matches!(kind, Kind::HttpStatus),
            Self::Garbage => matches!(kind, Kind::Protocol),
            Self::Refused => matches!(kind, Kind::Unauthorized | Kind::NeedsAuthorization),
            Self::Forbidden => matches!(kind, Kind::Forbidden),
            Self::Restart => matches!(
                kind,
                Kind::Connect | Kind::OutcomeUnknown | Kind::SessionLost | Kind::Timeout
            ),
            Self::Forgot => matches!(kind, Kind::SessionLost),
            Self::NoToken => matches!(kind, Kind::CredentialUnavailable | Kind::Unauthorized),
            Self::Logout => matches!(
                kind,
                Kind::NeedsAuthorization
                    | Kind::Unauthorized
                    | Kind::SessionLost
                    | Kind::OutcomeUnknown
                    | Kind::ServerExited
                    | Kind::Cancelled
            ),
            Self::Exit => matches!(kind, Kind::ServerExited | Kind::OutcomeUnknown),
        }
    }
}

/// One of them: when, at which server, to whom.
#[derive(Debug)]
struct Done {
    at: Instant,
    server: &'static str,
    /// Nobody in particular: to everybody.
    user: Option<String>,
    fault: Fault,
}

/// All of the last half minute, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Faults {
    recent: Mutex<VecDeque<Done>>,
    counts: Mutex<BTreeMap<Fault, u64>>,
}

impl Faults {
    pub(super) fn note(&self, server: &'static str, user: Option<&str>, fault: Fault) {
        let at = Instant::now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        while recent
            .front()
            .is_some_and(|first| at - first.at > REMEMBERED)
        {
            recent.pop_front();
        }
        recent.push_back(Done {
            at,
            server,
            user: user.map(str::to_owned),
            fault,
        });
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(fault).or_default() += 1;
    }

    /// Whether something was done to the user at the server since then that the kind of error may
    /// come from.
    pub(super) fn explain(
        &self,
        kind: ErrorKind,
        server: &str,
        user: &str,
        since: Instant,
    ) -> bool {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut newest = recent.iter().rev().take_while(|done| done.at >= since);
        newest.any(|done| {
            done.server == server
                && done.user.as_deref().is_none_or(|it| it == user)
                && done.fault.explains(kind)
        })
    }

    pub(super) fn counts(&self) -> BTreeMap<Fault, u64> {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
