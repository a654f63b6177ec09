//! What was done to the users, so that each of their errors can be explained by it, or not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_toolkit::auth::time::Instant;
use mcp_toolkit::core::ErrorKind;

use super::world::{OLD, SESSIONS};

/// A child that ended too often is left alone for five minutes; nothing else has consequences for
/// longer.
const REMEMBERED: Duration = Duration::from_secs(360);

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
    fn explains(self, kind: ErrorKind, server: &str) -> bool {
        use ErrorKind as Kind;
        // Whoever comes to a stream that is gone is told 404, and twice at worst; so is whoever comes
        // with a session that was forgotten before it was open.
        let is_gone = match server {
            OLD => matches!(kind, Kind::HttpStatus | Kind::SessionLost),
            SESSIONS => kind == Kind::HttpStatus,
            _ => false,
        };
        match self {
            Self::Restart | Self::Forgot if is_gone => true,
            Self::Reset if is_gone && server == OLD => true,
            Self::Reset | Self::Cut => {
                matches!(kind, Kind::Connect | Kind::OutcomeUnknown | Kind::Protocol)
            }
            Self::Status => matches!(kind, Kind::HttpStatus),
            Self::Garbage => matches!(kind, Kind::Protocol | Kind::OutcomeUnknown),
            Self::Refused => matches!(kind, Kind::Unauthorized | Kind::NeedsAuthorization),
            Self::Forbidden => matches!(kind, Kind::Forbidden),
            Self::Restart => matches!(
                kind,
                Kind::Connect
                    | Kind::OutcomeUnknown
                    | Kind::Protocol
                    | Kind::SessionLost
                    | Kind::Timeout
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
            // After some of them, the next start has to wait.
            Self::Exit => matches!(
                kind,
                Kind::ServerExited | Kind::OutcomeUnknown | Kind::Timeout
            ),
        }
    }
}

/// One of them: when, at which server, to whom.
#[derive(Debug)]
struct Done {
    id: u64,
    /// Until when; what goes on has no end yet.
    until: Option<Instant>,
    server: &'static str,
    /// Nobody in particular: to everybody.
    user: Option<String>,
    fault: Fault,
}

/// All of the last minutes, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Faults {
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    faults: VecDeque<Done>,
    last: u64,
    counts: BTreeMap<Fault, u64>,
}

/// Something that goes on until this is dropped.
#[derive(Debug)]
pub(super) struct GoingOn<'a> {
    faults: &'a Faults,
    id: u64,
}

impl Drop for GoingOn<'_> {
    fn drop(&mut self) {
        let mut recent = self.faults.recent();
        let mut newest = recent.faults.iter_mut().rev();
        if let Some(done) = newest.find(|done| done.id == self.id) {
            done.until = Some(Instant::now());
        }
    }
}

impl Faults {
    /// Something that happens now.
    pub(super) fn note(&self, server: &'static str, user: Option<&str>, fault: Fault) {
        drop(self.begin(server, user, fault));
    }

    /// Something that begins now.
    pub(super) fn begin(
        &self,
        server: &'static str,
        user: Option<&str>,
        fault: Fault,
    ) -> GoingOn<'_> {
        let now = Instant::now();
        let mut recent = self.recent();
        let is_old = |done: &Done| done.until.is_some_and(|until| now - until > REMEMBERED);
        while recent.faults.front().is_some_and(is_old) {
            recent.faults.pop_front();
        }
        recent.last += 1;
        let id = recent.last;
        recent.faults.push_back(Done {
            id,
            until: None,
            server,
            user: user.map(str::to_owned),
            fault,
        });
        *recent.counts.entry(fault).or_default() += 1;
        GoingOn { faults: self, id }
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
        self.recent().faults.iter().any(|done| {
            done.server == server
                && done.until.is_none_or(|until| until >= since)
                && done.user.as_deref().is_none_or(|it| it == user)
                && done.fault.explains(kind, server)
        })
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> BTreeMap<Fault, u64> {
        self.recent().counts.clone()
    }
}
