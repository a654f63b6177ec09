//! What users do, at random.

mod calls;
mod judge;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use mcp_toolkit::auth::Principal;
use mcp_toolkit::auth::time::Instant;
use mcp_toolkit::core::ErrorKind;
use mcp_toolkit::{PrincipalTools, ServerTools};

use self::calls::Manner;
use self::judge::Judge;
use super::ledger::Ledger;
use super::platform::{PATIENCE, Platform};
use super::world::{CHILD, OAUTH, SERVERS, World};

/// A failure is remembered for so long where nobody says otherwise, and a load takes its time.
const LOAD_SINCE: Duration = Duration::from_secs(10);

/// A child that ended again and again is started after a pause, which grows to minutes.
const RESTARTING: Duration = Duration::from_secs(330);

/// All users, and what is known of what they saw.
pub(super) struct Users {
    pub(super) principals: Vec<Principal>,
    pub(super) platform: Arc<Platform>,
    pub(super) world: Arc<World>,
    pub(super) ledger: Ledger,
    pub(super) judge: Judge,
    nonces: AtomicU64,
    logins: HashMap<String, tokio::sync::Mutex<()>>,
}

impl Users {
    pub(super) fn new(number: usize, platform: Arc<Platform>, world: Arc<World>) -> Self {
        let names = || (0..number).map(|number| format!("u{number}"));
        Self {
            principals: names()
                .filter_map(|name| Principal::new(name).ok())
                .collect(),
            platform,
            ledger: Ledger::default(),
            judge: Judge::new(Arc::clone(&world)),
            world,
            nonces: AtomicU64::new(1),
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
        self.judge
            .within("a logout", began, Duration::from_secs(50));
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
        let known = self.judge.known(user);
        let was_authorized = self.world.is_authorized(user);
        let tools = self.platform.toolkit.tools_for(principal).await;
        // Credentials, then the list.
        self.judge.within("a load", began, PATIENCE * 2);
        for (server, outcome) in tools.servers() {
            let Some(server) = SERVERS.into_iter().find(|it| *it == server.as_str()) else {
                continue;
            };
            let end = match outcome {
                ServerTools::Active(set) => {
                    self.judge
                        .look_at(server, user, set, known.get(server).copied());
                    "ok"
                }
                ServerTools::NeedsAuthorization(_) => {
                    let explained = server == OAUTH && !was_authorized
                        || self.world.faults.explain(
                            ErrorKind::NeedsAuthorization,
                            server,
                            user,
                            began,
                        );
                    if !explained {
                        let what = format!("{user} has authorized at {server} and is asked again");
                        self.judge.violation(what);
                    }
                    "needs_authorization"
                }
                ServerTools::Failed(error) => {
                    let before = match server {
                        CHILD => RESTARTING,
                        _ => LOAD_SINCE,
                    };
                    let since = began.checked_sub(before).unwrap_or(began);
                    self.judge
                        .must_be_explained("loading", error, server, user, since);
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
            && !self.judge.recently_bad(OAUTH, principal.user(), began)
        {
            let what = format!("{} cannot log in: {error:#}", principal.user());
            self.judge.violation(what);
        }
        let end = if done.is_ok() { "ok" } else { "failed" };
        self.ledger.note("login", OAUTH, end);
    }
}
