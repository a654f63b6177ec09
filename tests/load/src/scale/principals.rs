//! Memory and time against the number of principals: each loads once, over HTTP, and asks again.

use std::time::Duration;

use anyhow::Result;
use mcp_toolkit::auth::Principal;
use mcp_toolkit::auth::time::Instant;
use serde::{Deserialize, Serialize};

use super::users::{Known, all_there, percentiles, runtime, toolkit, user};

/// Looks into the cache, in all.
const LOOKS: usize = 64_000;
/// Looks that are timed together: one alone takes less than a clock tells.
const TOGETHER: usize = 32;

/// What so many principals cost.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Principals {
    pub(super) number: u64,
    /// Bytes that are held for all of them, their tokens not among them.
    pub(super) held: u64,
    /// Memory of the process that they added.
    pub(super) resident: u64,
    /// The first load, in microseconds: a request, and 50 tools.
    pub(super) first_p50: f64,
    pub(super) first_p99: f64,
    /// A load out of the cache, in microseconds.
    pub(super) cached_p50: f64,
    pub(super) cached_p99: f64,
}

pub(super) fn measure(address: &str, principals: u64) -> Result<Principals> {
    let runtime = runtime()?;
    let toolkit = toolkit(&format!("http://{address}/known/0"), principals, Known)?;
    let visit = |principal: &Principal| {
        let began = Instant::now();
        let tools = runtime.block_on(toolkit.tools_for(principal));
        let took = began.elapsed();
        all_there(&tools).map(|()| took)
    };
    // What is made once is nobody's: the pool, the definitions, the memory of the cache's own
    // queues.
    for extra in 0..200 {
        visit(&user(u64::MAX - extra)?)?;
    }
    let room = usize::try_from(principals)?;
    let mut times = Vec::with_capacity(room);
    let mut failed = Ok(());
    let before = crate::procfs::resident();
    let counted = allocation_counter::measure(|| {
        for number in 1..=principals {
            match user(number).and_then(|principal| visit(&principal)) {
                Ok(took) => times.push(took),
                Err(error) => failed = Err(error),
            }
        }
    });
    let resident = crate::procfs::resident().saturating_sub(before);
    failed?;
    let (first_p50, first_p99) = percentiles(&times);
    let (cached_p50, cached_p99) = percentiles(&cached(&visit, principals)?);
    Ok(Principals {
        number: principals,
        held: u64::try_from(counted.bytes_current).unwrap_or_default(),
        resident,
        first_p50,
        first_p99,
        cached_p50,
        cached_p99,
    })
}

/// Loads of principals at random, all of them known.
fn cached(
    visit: &impl Fn(&Principal) -> Result<Duration>,
    principals: u64,
) -> Result<Vec<Duration>> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut times = Vec::with_capacity(LOOKS / TOGETHER);
    for _ in 0..LOOKS / TOGETHER {
        let chosen: Result<Vec<_>> = (0..TOGETHER)
            .map(|_| user(random.u64(1..=principals)))
            .collect();
        let mut all = Duration::ZERO;
        for principal in &chosen? {
            all += visit(principal)?;
        }
        times.push(all / u32::try_from(TOGETHER)?);
    }
    Ok(times)
}
