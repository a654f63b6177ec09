//! What another one's calls take while a principal has ten thousand of its own waiting.

use std::time::Duration;

use anyhow::{Context as _, Result};
use mcp_harness::statistics::quantile;
use mcp_toolkit::PrincipalTools;
use mcp_toolkit::auth::Principal;
use mcp_toolkit::auth::time::Instant;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::users::{Known, all_there, call, percentiles, runtime, toolkit, user};

/// Calls that the one who floods keeps waiting.
const QUEUED: usize = 10_000;
/// Calls of the other one that are timed, one after another.
const TIMED: usize = 300;
/// How long the server takes, in milliseconds.
const SERVICE: u64 = 8;

/// Rounds of both, one after the other.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Fairness {
    pub(super) rounds: Vec<Round>,
    pub(super) hog_calls: u64,
    pub(super) failures: u64,
}

/// In microseconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Round {
    pub(super) alone_p50: f64,
    pub(super) alone_p99: f64,
    pub(super) beside_p50: f64,
    pub(super) beside_p99: f64,
}

pub(super) fn measure(address: &str, rounds: u64) -> Result<Fairness> {
    runtime()?.block_on(async {
        let toolkit = toolkit(&format!("http://{address}/known/{SERVICE}"), 2, Known)?;
        let (hog, other) = (user(1)?, user(2)?);
        let (hogs, others) = (
            toolkit.tools_for(&hog).await,
            toolkit.tools_for(&other).await,
        );
        all_there(&hogs)?;
        all_there(&others)?;
        let mut measured = Fairness {
            rounds: Vec::new(),
            hog_calls: 0,
            failures: 0,
        };
        for _ in 0..rounds {
            let (alone_p50, alone_p99) = percentiles(&timed(&others, &other).await?);
            let flood = async {
                let mut calls = JoinSet::new();
                loop {
                    while calls.len() < QUEUED {
                        let (hogs, hog) = (hogs.clone(), hog.clone());
                        calls.spawn(async move { call(&hogs, &hog).await });
                    }
                    let done = calls.join_next().await.context("nobody calls")?;
                    measured.hog_calls += 1;
                    measured.failures += u64::from(done?.is_err());
                }
            };
            let beside = tokio::select! {
                over = flood => return over,
                times = timed(&others, &other) => times?,
            };
            let (beside_p50, beside_p99) = percentiles(&beside);
            measured.rounds.push(Round {
                alone_p50,
                alone_p99,
                beside_p50,
                beside_p99,
            });
        }
        Ok(measured)
    })
}

async fn timed(tools: &PrincipalTools, principal: &Principal) -> Result<Vec<Duration>> {
    // The first ones open connections, and let the flood rise.
    for _ in 0..20 {
        call(tools, principal).await?;
    }
    let mut times = Vec::with_capacity(TIMED);
    for _ in 0..TIMED {
        let began = Instant::now();
        call(tools, principal).await?;
        times.push(began.elapsed());
    }
    Ok(times)
}

impl Fairness {
    /// How much longer the other one's 99th call of a hundred takes: the middle of the rounds.
    pub(super) fn slowdown(&self) -> f64 {
        let mut ratios: Vec<f64> = self
            .rounds
            .iter()
            .map(|round| round.beside_p99 / round.alone_p99)
            .collect();
        ratios.sort_unstable_by(f64::total_cmp);
        quantile(&ratios, 0.5).unwrap_or(f64::NAN)
    }
}
