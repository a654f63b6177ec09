//! What is true: whose a token is, what a server offers, and how bad the weather is.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_toolkit::auth::time::Instant;
use tokio::sync::watch;

use super::faults::Faults;

/// What every secret holds, and nothing that is shown may hold.
pub(super) const CANARY: &str = "canary";

/// The servers. The last two are no HTTP servers of this program's.
pub(super) const MODERN: &str = "modern";
pub(super) const SESSIONS: &str = "sessions";
pub(super) const OLD: &str = "old";
pub(super) const OAUTH: &str = "oauth";
pub(super) const CHILD: &str = "child";
pub(super) const SERVERS: [&str; 5] = [MODERN, SESSIONS, OLD, OAUTH, CHILD];

/// Tokens of one user that are good at the same time.
const GOOD: usize = 8;

/// Shared by servers, users and the weather.
#[derive(Debug)]
pub(super) struct World {
    pub(super) faults: Faults,
    /// Whether anything bad happens now.
    pub(super) is_stormy: AtomicBool,
    /// Whether nobody issues tokens now.
    pub(super) no_tokens: AtomicBool,
    tokens: Mutex<HashMap<String, Tokens>>,
    /// Who is refused access, where.
    forbidden: Mutex<HashSet<(&'static str, String)>>,
    /// Who has authorized, and not given it up.
    authorized: Mutex<HashSet<String>>,
    versions: HashMap<&'static str, Version>,
    sessions: Mutex<HashMap<String, String>>,
    next_session: AtomicU64,
    /// What must not have happened.
    violations: Mutex<Violations>,
}

#[derive(Debug, Default)]
struct Tokens {
    issued: u64,
    good: VecDeque<(u64, Instant)>,
}

/// How often a server's tools have changed.
#[derive(Debug)]
struct Version(watch::Sender<u64>);

#[derive(Debug, Default)]
struct Violations {
    count: u64,
    first: Vec<String>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            faults: Faults::default(),
            is_stormy: AtomicBool::new(false),
            no_tokens: AtomicBool::new(false),
            tokens: Mutex::default(),
            forbidden: Mutex::default(),
            authorized: Mutex::default(),
            versions: SERVERS
                .into_iter()
                .map(|server| (server, Version(watch::Sender::new(0))))
                .collect(),
            sessions: Mutex::default(),
            next_session: AtomicU64::new(0),
            violations: Mutex::default(),
        }
    }

    /// Something that must not happen did.
    pub(super) fn violation(&self, what: String) {
        let mut violations = lock(&self.violations);
        violations.count += 1;
        if violations.first.len() < 20 {
            eprintln!("VIOLATION: {what}");
            violations.first.push(what);
        }
    }

    pub(super) fn violations(&self) -> u64 {
        lock(&self.violations).count
    }

    pub(super) fn is_stormy(&self) -> bool {
        self.is_stormy.load(Ordering::Relaxed)
    }

    /// A new token for a user, and how long it lives. The ones before stay good.
    pub(super) fn issue(&self, user: &str, life: Duration) -> String {
        let mut tokens = lock(&self.tokens);
        let tokens = tokens.entry(user.to_owned()).or_default();
        tokens.issued += 1;
        tokens
            .good
            .push_back((tokens.issued, Instant::now() + life));
        if tokens.good.len() > GOOD {
            tokens.good.pop_front();
        }
        format!("test-token-{user}-{}-{CANARY}", tokens.issued)
    }

    /// Whose a token is that is good now.
    pub(super) fn owner(&self, token: &str) -> Option<String> {
        let mut parts = token.strip_prefix("test-token-")?.split('-');
        let (user, number) = (parts.next()?, parts.next()?.parse::<u64>().ok()?);
        let tokens = lock(&self.tokens);
        let mut good = tokens.get(user)?.good.iter();
        let is_good = good.any(|(known, until)| *known == number && Instant::now() < *until);
        is_good.then(|| user.to_owned())
    }

    /// Makes all tokens of a user worthless.
    pub(super) fn revoke(&self, user: &str) {
        if let Some(tokens) = lock(&self.tokens).get_mut(user) {
            tokens.good.clear();
        }
    }

    pub(super) fn forbid(&self, server: &'static str, user: &str) {
        lock(&self.forbidden).insert((server, user.to_owned()));
    }

    pub(super) fn allow_all(&self) {
        lock(&self.forbidden).clear();
    }

    pub(super) fn is_forbidden(&self, server: &'static str, user: &str) -> bool {
        let forbidden = lock(&self.forbidden);
        !forbidden.is_empty() && forbidden.contains(&(server, user.to_owned()))
    }

    pub(super) fn authorize(&self, user: &str, is_authorized: bool) {
        let mut authorized = lock(&self.authorized);
        if is_authorized {
            authorized.insert(user.to_owned());
        } else {
            authorized.remove(user);
        }
    }

    pub(super) fn nobody_is_authorized(&self) {
        lock(&self.authorized).clear();
    }

    pub(super) fn is_authorized(&self, user: &str) -> bool {
        lock(&self.authorized).contains(user)
    }

    /// The server has other tools from now on, and tells who listens.
    pub(super) fn change_tools(&self, server: &str) {
        if let Some(Version(version)) = self.versions.get(server) {
            version.send_modify(|version| *version += 1);
        }
    }

    pub(super) fn version(&self, server: &str) -> u64 {
        self.versions.get(server).map_or(0, |it| *it.0.borrow())
    }

    /// Hears of changes.
    pub(super) fn changes(&self, server: &str) -> Option<watch::Receiver<u64>> {
        Some(self.versions.get(server)?.0.subscribe())
    }

    pub(super) fn open_session(&self, user: &str) -> String {
        let number = self.next_session.fetch_add(1, Ordering::Relaxed);
        let session = format!("test-session-{number}-{CANARY}");
        lock(&self.sessions).insert(session.clone(), user.to_owned());
        session
    }

    /// Whose a session is.
    pub(super) fn session(&self, id: &str) -> Option<String> {
        lock(&self.sessions).get(id).cloned()
    }

    pub(super) fn end_session(&self, id: &str) -> bool {
        lock(&self.sessions).remove(id).is_some()
    }

    pub(super) fn forget_sessions(&self) {
        lock(&self.sessions).clear();
    }

    /// Sessions that clients have not ended.
    pub(super) fn sessions(&self) -> usize {
        lock(&self.sessions).len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
