//! What users do, at random, and what must come of it.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_toolkit::adapter::{AgentTool, ToolSet};
use mcp_toolkit::auth::Principal;
use mcp_toolkit::auth::time::Instant;
use mcp_toolkit::core::{Error, ErrorKind, ToolOutput};
use mcp_toolkit::{PrincipalTools, ServerTools};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::faults::Fault;
use super::ledger::Ledger;
use super::platform::{PATIENCE, Platform};
use super::world::{CHILD, OAUTH, SERVERS, SESSIONS, World};

/// A failure is remembered for so long where nobody says otherwise, and a load takes its time.
const LOAD_SINCE: Duration = Duration::from_secs(10);

/// A child that ended again and again is started after a pause, which grows to minutes.
const RESTARTING: Duration = Duration::from_secs(330);

/// What happened a moment before may be noticed only now.
const NOTICING: Duration = Duration::from_millis(500);

/// A source of tokens that fails is left alone for so long.
const LEFT_ALONE: Duration = Duration::from_secs(20);

/// Credentials that change bring back what was kept for the next ones; for as long as the cache keeps
/// anything, and a load takes.
const STALE: Duration = Duration::from_secs(30);

/// Beyond its deadline a call may take what the machine needs to notice that.
const SLACK: Duration = Duration::from_millis(1_500);

/// All users, and what is known of what they saw.
pub(super) struct Users {
    pub(super) principals: Vec<Principal>,
    pub(super) platform: Arc<Platform>,
    pub(super) world: Arc<World>,
    pub(super) ledger: Ledger,
    nonces: AtomicU64,
    /// When a user was shown newer tools by a server, and how new.
    seen: Mutex<HashMap<(&'static str, String), Seen>>,
    logins: HashMap<String, tokio::sync::Mutex<()>>,
}

/// When tools were shown, and how new they were.
type Seen = VecDeque<(Instant, u64)>;

/// How a caller treats its call.
#[derive(Clone, Copy)]
enum Manner {
    Patient,
    /// With a deadline that is too near.
    Hasty,
    /// Lets it fall.
    Drops,
    /// Says stop.
    Cancels,
}

impl Users {
    pub(super) fn new(number: usize, platform: Arc<Platform>, world: Arc<World>) -> Self {
        let names = || (0..number).map(|number| format!("u{number}"));
        Self {
            principals: names()
                .filter_map(|name| Principal::new(name).ok())
                .collect(),
            platform,
            world,
            ledger: Ledger::default(),
            nonces: AtomicU64::new(1),
            seen: Mutex::default(),
            logins: names()
                .map(|name| (name, tokio::sync::Mutex::default()))
                .collect(),
        }
    }

    /// One thing after another until the time is over.
    pub(super) async fn act(&self, until: Instant) {
        while Instant::now() < until {
            let principal = fastrand::choice(&self.principals);
            let Some(principal) = principal.cloned() else {
                return;
            };
            let server = fastrand::choice(SERVERS).unwrap_or(SERVERS[0]);
            match fastrand::u32(..1_000) {
                ..60 => {
                    self.load(&principal).await;
                }
                60..70 if self.world.is_stormy() => self.log_out(&principal, server).await,
                70..90 => self.world.revoke(principal.user()),
                90..100 => self.world.change_tools(server),
                100..140 => self.burst(&principal, server).await,
                140..240 => self.call(&principal, server, Manner::Hasty).await,
                240..340 => self.call(&principal, server, Manner::Drops).await,
                340..400 => self.call(&principal, server, Manner::Cancels).await,
                _ => self.call(&principal, server, Manner::Patient).await,
            }
        }
    }

    async fn log_out(&self, principal: &Principal, server: &'static str) {
        // Who logs in meanwhile could not say whether that holds.
        let _one = match self.logins.get(principal.user()) {
            Some(lock) if server == OAUTH => Some(lock.lock().await),
            _ => None,
        };
        let began = Instant::now();
        let done = self.platform.log_out(principal, server).await;
        let end = if done.is_ok() { "ok" } else { "incomplete" };
        self.ledger.note("logout", server, end);
        self.within("a logout", began, Duration::from_secs(50));
    }

    async fn burst(&self, principal: &Principal, server: &'static str) {
        let mut calls = Vec::new();
        for _ in 0..8 {
            calls.push(self.call(principal, server, Manner::Patient));
        }
        futures_util::future::join_all(calls).await;
    }

    /// All tools of a user: nobody else's are among them, and none that were replaced before.
    async fn load(&self, principal: &Principal) -> PrincipalTools {
        let began = Instant::now();
        let user = principal.user();
        let known = self.known(user);
        let was_authorized = self.world.is_authorized(user);
        let tools = self.platform.toolkit.tools_for(principal).await;
        // Credentials, then the list.
        self.within("a load", began, PATIENCE * 2);
        for (server, outcome) in tools.servers() {
            let Some(server) = SERVERS.into_iter().find(|it| *it == server.as_str()) else {
                continue;
            };
            let end = match outcome {
                ServerTools::Active(set) => {
                    self.look_at(server, user, set, known.get(server).copied());
                    "ok"
                }
                ServerTools::NeedsAuthorization(_) => {
                    let explained = server == OAUTH && !was_authorized
                        || self.explained(ErrorKind::NeedsAuthorization, server, user, began);
                    if !explained {
                        let what = format!("{user} has authorized at {server} and is asked again");
                        self.world.violation(what);
                    }
                    "needs_authorization"
                }
                ServerTools::Failed(error) => {
                    let before = match server {
                        CHILD => RESTARTING,
                        _ => LOAD_SINCE,
                    };
                    let since = began.checked_sub(before).unwrap_or(began);
                    self.must_be_explained("loading", error, server, user, since);
                    error.kind().as_str()
                }
                _ => "?",
            };
            self.ledger.note("load", server, end);
        }
        if let Some(ServerTools::NeedsAuthorization(_)) = tools.server(OAUTH) {
            self.log_in(principal).await;
        }
        // Given up: a new beginning.
        if let Some(ServerTools::Failed(error)) = tools.server(CHILD)
            && error.kind() == ErrorKind::ServerExited
        {
            self.log_out(principal, CHILD).await;
        }
        tools
    }

    async fn log_in(&self, principal: &Principal) {
        let Some(lock) = self.logins.get(principal.user()) else {
            return;
        };
        // One browser for each user.
        let Ok(_one) = lock.try_lock() else {
            return;
        };
        if self.world.is_authorized(principal.user()) {
            return;
        }
        let began = Instant::now();
        let done = self.platform.log_in(principal).await;
        if let Err(error) = &done
            && !self.world.is_stormy()
            && !self.recently_bad(OAUTH, principal.user(), began)
        {
            let what = format!("{} cannot log in: {error:#}", principal.user());
            self.world.violation(what);
        }
        let end = if done.is_ok() { "ok" } else { "failed" };
        self.ledger.note("login", OAUTH, end);
    }

    async fn call(&self, principal: &Principal, server: &'static str, manner: Manner) {
        let tools = self.platform.toolkit.tools_for(principal).await;
        let Some(ServerTools::Active(set)) = tools.server(server) else {
            // Looked at in full.
            self.load(principal).await;
            return;
        };
        let Ok(tool) = set.get("whoami") else {
            let what = format!("{server} has no whoami for {principal}");
            self.world.violation(what);
            return;
        };
        self.call_tool(principal, server, &tool, manner).await;
    }

    async fn call_tool(
        &self,
        principal: &Principal,
        server: &'static str,
        tool: &AgentTool,
        manner: Manner,
    ) {
        let nonce = self.nonces.fetch_add(1, Ordering::Relaxed);
        let user = principal.user();
        let mut exit = None;
        let fate = match fastrand::u32(..100) {
            ..3 => "error",
            3..5 if server == CHILD && self.world.is_stormy() => {
                exit = Some(self.world.faults.begin(server, Some(user), Fault::Exit));
                "exit"
            }
            3..5 if server == SESSIONS => "changed",
            _ => "none",
        };
        let slow = fastrand::u32(..5) == 0;
        let milliseconds = if slow { fastrand::u64(5..80) } else { 0 };
        let arguments = json!({ "nonce": nonce, "fate": fate, "milliseconds": milliseconds });
        let limit = match manner {
            Manner::Hasty => Duration::from_millis(fastrand::u64(1..30)),
            _ => Duration::from_millis(fastrand::u64(2_000..4_000)),
        };
        let stop = CancellationToken::new();
        let context = tool.context().with_timeout(limit);
        let context = context.with_cancellation(stop.clone());
        let began = Instant::now();
        let was_authorized = self.world.is_authorized(user);
        self.ledger.call_begins(user);
        let mut calling = pin!(tool.call_with(arguments, &context));
        let pause = Duration::from_micros(fastrand::u64(..20_000));
        let outcome = match manner {
            Manner::Patient | Manner::Hasty => Some(calling.await),
            Manner::Drops => tokio::time::timeout(pause, calling).await.ok(),
            Manner::Cancels => {
                let first = tokio::select! {
                    biased;
                    outcome = &mut calling => Some(outcome),
                    () = tokio::time::sleep(pause) => None,
                };
                if let Some(outcome) = first {
                    Some(outcome)
                } else {
                    stop.cancel();
                    Some(calling.await)
                }
            }
        };
        self.within("a call", began, limit);
        let name = match manner {
            Manner::Patient => "call",
            Manner::Hasty => "hasty call",
            Manner::Drops => "drop",
            Manner::Cancels => "cancel",
        };
        let end = match outcome {
            None => "dropped",
            Some(Ok(output)) => self.answered(&output, user, nonce, fate),
            Some(Err(error)) => {
                let kind = error.kind();
                let expected = match manner {
                    Manner::Hasty => kind == ErrorKind::Timeout,
                    Manner::Cancels => kind == ErrorKind::Cancelled,
                    _ => false,
                };
                let unauthorized = server == OAUTH
                    && kind == ErrorKind::NeedsAuthorization
                    && !(was_authorized && self.world.is_authorized(user));
                if !expected && !unauthorized {
                    let before = match (server, kind) {
                        (CHILD, _) => RESTARTING,
                        (_, ErrorKind::CredentialUnavailable) => LEFT_ALONE,
                        _ => NOTICING,
                    };
                    let since = began.checked_sub(before).unwrap_or(began);
                    self.must_be_explained(name, &error, server, user, since);
                }
                kind.as_str()
            }
        };
        drop(exit);
        self.ledger.note(name, server, end);
    }

    /// The answer belongs to the asker, and to the question.
    fn answered(&self, output: &ToolOutput, user: &str, nonce: u64, fate: &str) -> &'static str {
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

    fn look_at(&self, server: &'static str, user: &str, set: &ToolSet, known: Option<u64>) {
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
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.entry((server, user.to_owned())).or_default();
        if seen.back().is_none_or(|(_, newest)| *newest < version) {
            seen.push_back((Instant::now(), version));
        }
    }

    /// The newest tools of each server that the user has seen so long ago that nothing older may be
    /// kept any more.
    fn known(&self, user: &str) -> HashMap<&'static str, u64> {
        let now = Instant::now();
        let mut known = HashMap::new();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
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

    fn explained(&self, kind: ErrorKind, server: &str, user: &str, since: Instant) -> bool {
        self.world.faults.explain(kind, server, user, since)
    }

    fn recently_bad(&self, server: &str, user: &str, since: Instant) -> bool {
        let since = since.checked_sub(LOAD_SINCE).unwrap_or(since);
        let kinds = [
            ErrorKind::Connect,
            ErrorKind::HttpStatus,
            ErrorKind::CredentialUnavailable,
        ];
        kinds
            .into_iter()
            .any(|kind| self.explained(kind, server, user, since))
    }

    fn must_be_explained(
        &self,
        what: &str,
        error: &Error,
        server: &str,
        user: &str,
        since: Instant,
    ) {
        if !self.explained(error.kind(), server, user, since) {
            let kind = error.kind();
            let causes = causes(error);
            let what = format!("{what} for {user} at {server}: {kind} without a cause: {causes}");
            self.world.violation(what);
        }
    }

    fn within(&self, what: &str, began: Instant, limit: Duration) {
        let late = began.elapsed().saturating_sub(limit);
        self.ledger.late(late);
        if late > SLACK {
            let what = format!("{what} was over {late:?} after its deadline of {limit:?}");
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
