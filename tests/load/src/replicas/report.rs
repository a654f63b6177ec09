//! What was measured, and what must hold.

use std::fmt::Write as _;

use serde::Serialize;

use super::phases::{Away, Forgetting, Lives, Steady};
use super::setting::DEADLINE;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: String,
    pub(super) processes: usize,
    pub(super) callers: usize,
    pub(super) users: usize,
    pub(super) lives: Lives,
    pub(super) steady: Steady,
    pub(super) away: Away,
    pub(super) invalidation: Forgetting,
    pub(super) calls: u64,
    pub(super) failed: u64,
    pub(super) failures: Vec<String>,
    pub(super) slowest_ms: f64,
    pub(super) logins_lost: usize,
    pub(super) refused: usize,
    pub(super) reused: usize,
}

impl Report {
    pub(super) fn broken(&self) -> usize {
        self.bounds().iter().filter(|(.., kept)| !kept).count()
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{}\n{} processes x {} callers for {} users: {} calls, {} refreshes in {:.0} s\n\n\
             | what | measured | bound | |\n|---|---|---|---|\n",
            self.machine,
            self.processes,
            self.callers,
            self.users,
            self.calls,
            self.lives.refreshes,
            self.lives.seconds,
        );
        for (what, measured, bound, kept) in self.bounds() {
            let verdict = if kept { "kept" } else { "**broken**" };
            let _ = writeln!(text, "| {what} | {measured} | {bound} | {verdict} |");
        }
        for failure in &self.failures {
            let _ = writeln!(text, "failed: {failure}");
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn bounds(&self) -> Vec<(String, String, String, bool)> {
        let (lives, away) = (&self.lives, &self.away);
        let none = |what: &str, measured: u64| {
            (
                what.to_owned(),
                measured.to_string(),
                "0".to_owned(),
                measured == 0,
            )
        };
        let counted = |what: &str, measured: usize| none(what, measured as u64);
        let again = lives.early + lives.forgiven;
        let slowest = DEADLINE.as_secs_f64() * 1e3;
        vec![
            counted("refresh tokens refused (`invalid_grant`)", self.refused),
            counted("refresh tokens used twice", self.reused),
            counted("logins lost", self.logins_lost),
            none("calls that failed", self.failed),
            (
                format!(
                    "refreshes beyond one for each life ({} early, {} again)",
                    lives.early, lives.forgiven
                ),
                again.to_string(),
                format!("{}, one for each killed replica", lives.killed),
                again <= lives.killed,
            ),
            (
                "slowest call, ms".to_owned(),
                format!("{:.0}", self.slowest_ms),
                format!("{slowest:.0}"),
                self.slowest_ms < slowest,
            ),
            none(
                &format!("commands to Redis in {} calls", self.steady.calls),
                self.steady.redis_commands,
            ),
            none(
                &format!(
                    "failed of {} + {} calls while Redis was stopped, then dead, {:.0} s each",
                    away.calls_while_stopped, away.calls_while_dead, away.seconds
                ),
                away.failed,
            ),
            none(
                &format!("failed after that, with {} refreshes", away.refreshes),
                away.failed_after,
            ),
            (
                "tools forgotten in every process, p99, ms".to_owned(),
                format!("{:.1}", self.invalidation.p99_ms),
                "1000".to_owned(),
                self.invalidation.p99_ms < 1e3,
            ),
        ]
    }
}
