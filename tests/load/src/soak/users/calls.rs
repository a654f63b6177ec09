//! A call: awaited, dropped or cancelled, of a tool that may be slow or fail.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp_toolkit::ServerTools;
use mcp_toolkit::adapter::AgentTool;
use mcp_toolkit::auth::Principal;
use mcp_toolkit::auth::time::Instant;
use mcp_toolkit::core::{Error, ErrorKind, ToolOutput};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{RESTARTING, Users};
use crate::soak::faults::Fault;
use crate::soak::world::{CHILD, OAUTH, SESSIONS};

/// What happened a moment before may be noticed only now.
const NOTICING: Duration = Duration::from_millis(500);

/// A source of tokens that fails is left alone for so long.
const LEFT_ALONE: Duration = Duration::from_secs(20);

/// How a caller treats its call.
#[derive(Clone, Copy)]
pub(super) enum Manner {
    Patient,
    /// With a deadline that is too near.
    Hasty,
    /// Lets it fall.
    Drops,
    /// Says stop.
    Cancels,
}

impl Manner {
    fn name(self) -> &'static str {
        match self {
            Self::Patient => "call",
            Self::Hasty => "hasty call",
            Self::Drops => "drop",
            Self::Cancels => "cancel",
        }
    }

    /// How long a call may take, at random.
    fn limit(self) -> Duration {
        Duration::from_millis(match self {
            Self::Hasty => fastrand::u64(1..30),
            _ => fastrand::u64(2_000..4_000),
        })
    }

    /// Whether calls so treated may fail so without anything having gone wrong.
    fn leads_to(self, kind: ErrorKind) -> bool {
        match self {
            Self::Hasty => kind == ErrorKind::Timeout,
            Self::Cancels => kind == ErrorKind::Cancelled,
            Self::Patient | Self::Drops => false,
        }
    }

    /// Treats a call so; `None` where it was dropped.
    async fn with<T>(
        self,
        calling: impl Future<Output = T>,
        stop: &CancellationToken,
    ) -> Option<T> {
        let mut calling = pin!(calling);
        let pause = Duration::from_micros(fastrand::u64(..20_000));
        match self {
            Self::Patient | Self::Hasty => Some(calling.await),
            Self::Drops => tokio::time::timeout(pause, calling).await.ok(),
            Self::Cancels => {
                if let Ok(outcome) = tokio::time::timeout(pause, &mut calling).await {
                    return Some(outcome);
                }
                stop.cancel();
                Some(calling.await)
            }
        }
    }
}

/// A call that was made.
struct Made<'c> {
    user: &'c str,
    server: &'static str,
    manner: Manner,
    nonce: u64,
    /// What the server is to do.
    fate: &'static str,
    began: Instant,
    was_authorized: bool,
}

impl Users {
    /// Calls a server's tool; where it has none for the user, loads them instead.
    pub(super) async fn call(&self, principal: &Principal, server: &'static str, manner: Manner) {
        let tools = self.platform.toolkit.tools_for(principal).await;
        let Some(ServerTools::Active(set)) = tools.server(server) else {
            // Looked at in full.
            self.load(principal).await;
            return;
        };
        let Ok(tool) = set.get("whoami") else {
            let what = format!("{server} has no whoami for {principal}");
            self.judge.violation(what);
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
        let made = Made {
            user,
            server,
            manner,
            nonce: self.nonces.fetch_add(1, Ordering::Relaxed),
            fate,
            began: Instant::now(),
            was_authorized: self.world.is_authorized(user),
        };
        let slow = fastrand::u32(..5) == 0;
        let milliseconds = if slow { fastrand::u64(5..80) } else { 0 };
        let arguments = json!({ "nonce": made.nonce, "fate": fate, "milliseconds": milliseconds });
        let limit = manner.limit();
        let stop = CancellationToken::new();
        let context = tool.context().with_timeout(limit);
        let context = context.with_cancellation(stop.clone());
        self.ledger.call_begins(user);
        let calling = tool.call_with(arguments, &context);
        let outcome = manner.with(calling, &stop).await;
        self.judge.within("a call", made.began, limit);
        let end = outcome.map_or("dropped", |outcome| self.ended(&made, outcome));
        drop(exit);
        self.ledger.note(manner.name(), server, end);
    }

    fn ended(&self, made: &Made<'_>, outcome: Result<ToolOutput, Error>) -> &'static str {
        let (user, server) = (made.user, made.server);
        let error = match outcome {
            Ok(output) => return self.judge.answered(&output, user, made.nonce, made.fate),
            Err(error) => error,
        };
        let kind = error.kind();
        let unauthorized = server == OAUTH
            && kind == ErrorKind::NeedsAuthorization
            && !(made.was_authorized && self.world.is_authorized(user));
        if !made.manner.leads_to(kind) && !unauthorized {
            let before = match (server, kind) {
                (CHILD, _) => RESTARTING,
                (_, ErrorKind::CredentialUnavailable) => LEFT_ALONE,
                _ => NOTICING,
            };
            let since = made.began.checked_sub(before).unwrap_or(made.began);
            let what = made.manner.name();
            self.judge
                .must_be_explained(what, &error, server, user, since);
        }
        kind.as_str()
    }
}
