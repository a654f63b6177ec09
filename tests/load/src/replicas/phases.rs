//! What happens to the replicas, one thing after another.

use std::time::Duration;

use anyhow::{Result, ensure};
use mcp_harness::statistics::quantile;
use mcp_toolkit::auth::time::{Clock as _, Instant, SystemClock};
use mcp_toolkit::core::replicas::{Cause, Invalidation, InvalidationBus as _, Origin};
use mcp_toolkit::redis::RedisBus;
use serde::Serialize;

use super::fleet::Fleet;
use super::setting::{LONG, SHORT, Setting, connection, user};
use super::worker::FORGOTTEN;

/// Between two killed replicas, in milliseconds.
const KILL: std::ops::Range<u64> = 300..1_000;
/// For what was under way to be done.
const SETTLE: Duration = Duration::from_secs(3);
/// How long calls with valid tokens are watched.
const STEADY: Duration = Duration::from_secs(5);
const ROUNDS: usize = 200;
/// Tokens that the issuer remembers.
const REMEMBERED: u64 = 20_000;

#[derive(Debug, Serialize)]
pub(super) struct Lives {
    pub(super) seconds: f64,
    pub(super) refreshes: usize,
    /// While the token before had more than half of its life left.
    pub(super) early: usize,
    /// Whose answer was lost with the replica that asked.
    pub(super) forgiven: usize,
    pub(super) killed: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Steady {
    pub(super) calls: u64,
    pub(super) redis_commands: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Away {
    pub(super) seconds: f64,
    pub(super) calls_while_stopped: u64,
    pub(super) calls_while_dead: u64,
    pub(super) failed: u64,
    /// After it was back.
    pub(super) refreshes: usize,
    pub(super) failed_after: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Forgetting {
    pub(super) rounds: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

pub(super) async fn lives(setting: &Setting, fleet: &mut Fleet, lives: usize) -> Result<Lives> {
    let began = Instant::now();
    let enough = Duration::from_secs(60 + SHORT * u64::try_from(lives)? / 5);
    let (first, early) = setting.issuer.refreshed();
    let mut killed = 0;
    while setting.issuer.refreshed().0 - first < lives {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(KILL))).await;
        fleet.kill_one().await?;
        killed += 1;
        setting.issuer.forget_all_but(REMEMBERED);
        ensure!(began.elapsed() < enough, "tokens are not refreshed");
    }
    let seconds = began.elapsed().as_secs_f64();
    // The last that were killed held up others.
    tokio::time::sleep(SETTLE).await;
    let (last, now_early) = setting.issuer.refreshed();
    Ok(Lives {
        seconds,
        refreshes: last - first,
        early: now_early - early,
        forgiven: setting.issuer.forgiven(),
        killed,
    })
}

/// From now on tokens are good for an hour.
async fn calm(setting: &Setting) {
    setting.issuer.lifetime(LONG);
    // The lives that had begun end by themselves.
    tokio::time::sleep(Duration::from_secs(SHORT) + SETTLE).await;
}

pub(super) async fn steady(setting: &Setting, fleet: &Fleet) -> Result<Steady> {
    calm(setting).await;
    let commands = || {
        setting
            .redis
            .calls()
            .iter()
            .map(|(_, count)| count)
            .sum::<u64>()
    };
    let (before, calls) = (commands(), fleet.totals().calls);
    tokio::time::sleep(STEADY).await;
    let steady = Steady {
        redis_commands: commands() - before,
        calls: fleet.totals().calls - calls,
    };
    ensure!(steady.calls > 0, "nobody called");
    Ok(steady)
}

pub(super) async fn away(setting: &mut Setting, fleet: &Fleet, time: Duration) -> Result<Away> {
    let before = fleet.totals();
    setting.redis.pause();
    tokio::time::sleep(time).await;
    setting.redis.resume();
    let stopped = fleet.totals();
    setting.redis.kill();
    tokio::time::sleep(time).await;
    setting.redis.restart();
    let dead = fleet.totals();
    setting.issuer.forget_all_but(REMEMBERED);
    let refreshes = setting.issuer.refreshed().0;
    setting.issuer.lifetime(SHORT);
    setting.issuer.end_access();
    tokio::time::sleep(SETTLE * 2).await;
    Ok(Away {
        seconds: time.as_secs_f64(),
        calls_while_stopped: stopped.calls - before.calls,
        calls_while_dead: dead.calls - stopped.calls,
        failed: dead.failed - before.failed,
        refreshes: setting.issuer.refreshed().0 - refreshes,
        failed_after: fleet.totals().failed - dead.failed,
    })
}

pub(super) async fn invalidation(setting: &Setting, fleet: &mut Fleet) -> Result<Forgetting> {
    calm(setting).await;
    fleet.listen(FORGOTTEN).await?;
    let bus = RedisBus::new(connection(&setting.redis.url())?);
    let origin = Origin::new();
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let number = round % FORGOTTEN;
        let invalidation = Invalidation::of_principal(&user(number)?, None, Cause::LoggedOut);
        let began = SystemClock.wall().duration_since(std::time::UNIX_EPOCH)?;
        let times = fleet
            .forgotten(number, || bus.publish(origin, invalidation))
            .await?;
        let began = began.as_micros();
        took.extend(times.iter().map(|at| at.saturating_sub(began) as f64 / 1e3));
    }
    took.sort_by(f64::total_cmp);
    let at = |share| quantile(&took, share).unwrap_or(f64::NAN);
    Ok(Forgetting {
        rounds: ROUNDS,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        max_ms: at(1.0),
    })
}
