//! One cell of the table: a contender at a workload, in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use mcp_core::ProtocolVersion;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::floor::Floor;
use crate::measure::{self, Sample};
use crate::ours::{Audited, Engine, Whole};
use crate::peers::{Connections, Dialect, FreshRmcp, Rmcp};
use crate::plan::{IN_FLIGHT, Load, Workload};
use crate::{hot, lists, memory};

/// Calls before anything is counted.
const WARM_UP: u64 = 200;

/// Calls over which allocations are counted.
const COUNTED: u64 = 200;

/// Something that calls the tool, over and over.
pub(crate) trait Caller: Send + Sync + 'static {
    fn call(&self) -> impl Future<Output = Result<()>> + Send;
}

/// Runs one cell and prints its sample.
pub(crate) fn run(workload: &str, contender: &str, address: &str, calls: &str) -> Result<()> {
    let workload = Workload::named(workload)?;
    let calls: u64 = calls.parse().context("how many calls?")?;
    let url = format!("http://{address}{}", workload.path(contender));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let sample = match workload.load {
        Load::Lists => lists::run(&runtime, contender, &url, calls)?,
        Load::Memory => memory::run(contender, calls)?,
        Load::HotPath => hot::run(&runtime, contender, calls)?,
        Load::Command | Load::Size | Load::Instructions => {
            bail!("{} is no work of this process", workload.name)
        }
        Load::OneByOne | Load::InFlight => calling(&runtime, workload, contender, &url, calls)?,
    };
    println!("{}", serde_json::to_string(&sample)?);
    Ok(())
}

fn calling(
    runtime: &Runtime,
    workload: &Workload,
    contender: &str,
    url: &str,
    calls: u64,
) -> Result<Sample> {
    let (pooled, default) = (Connections::Pooled, Connections::Default);
    let rmcp = |connections, dialect, at_once| {
        runtime.block_on(Rmcp::connect(url, connections, dialect, at_once))
    };
    let engine = |version| runtime.block_on(Engine::connect(url, version));
    let whole = |audited| runtime.block_on(Whole::connect(url, audited));
    let go = Go {
        runtime,
        in_flight: workload.load == Load::InFlight,
        calls,
    };
    match contender {
        "raw" => go.with(Floor::new(url.to_owned())),
        "raw, deadline" => go.with(Floor::new(url.to_owned()).bounded()),
        "bare connection" => go.with(runtime.block_on(Floor::bare(url))?),
        "mcp-http" | "mcp-http, JSON" => go.with(engine(ProtocolVersion::V2026_07_28)?),
        "mcp-http 2025-11-25" => go.with(engine(ProtocolVersion::V2025_11_25)?),
        "whole" => go.with(whole(Audited::ToTracing)?),
        "whole, audit to a sink" => go.with(whole(Audited::ToSink)?),
        "rmcp pooled" => go.with(rmcp(pooled, Dialect::Stateless, Some(IN_FLIGHT))?),
        "rmcp pooled, 16 at once" => go.with(rmcp(pooled, Dialect::Stateless, None)?),
        "rmcp pooled 2025-11-25" => go.with(rmcp(pooled, Dialect::Session, None)?),
        "rmcp default" => go.with(rmcp(default, Dialect::Stateless, None)?),
        "rmcp default 2025-11-25" => go.with(rmcp(default, Dialect::Session, None)?),
        "rmcp, fresh session" => go.with(FreshRmcp::new(url)),
        other => bail!("no such contender: {other}"),
    }
}

struct Go<'r> {
    runtime: &'r Runtime,
    in_flight: bool,
    calls: u64,
}

impl Go<'_> {
    fn with(self, caller: impl Caller) -> Result<Sample> {
        let caller = Arc::new(caller);
        if self.in_flight {
            self.runtime.block_on(in_flight(&caller, WARM_UP))?;
            return self.runtime.block_on(in_flight(&caller, self.calls));
        }
        self.one_by_one(&caller, WARM_UP)?;
        let mut sample = self.one_by_one(&caller, self.calls)?;
        let mut counted = Ok(sample);
        (sample.allocations, sample.allocated_bytes) = measure::allocations(COUNTED, || {
            counted = self.one_by_one(&caller, COUNTED);
        });
        counted?;
        // The task and the list of durations, which the measuring itself makes.
        sample.allocations = (sample.allocations - 2.0 / COUNTED as f64).max(0.0);
        Ok(sample)
    }

    /// Calls from a task, as whoever serves requests does. The future that a runtime of one thread
    /// itself runs is no task: each time it is woken, the system is asked for events once more.
    fn one_by_one<C: Caller>(&self, caller: &Arc<C>, calls: u64) -> Result<Sample> {
        let caller = Arc::clone(caller);
        let calling = async move { one_by_one(&*caller, calls).await };
        self.runtime.block_on(self.runtime.spawn(calling))?
    }
}

async fn one_by_one(caller: &impl Caller, calls: u64) -> Result<Sample> {
    let mut took = Vec::with_capacity(usize::try_from(calls)?);
    let (began, cpu) = (Instant::now(), measure::cpu());
    let mut last = began;
    for _ in 0..calls {
        caller.call().await?;
        let now = Instant::now();
        took.push(now - last);
        last = now;
    }
    let used = measure::cpu_since(cpu);
    took.sort_unstable();
    let median = took.get(took.len() / 2).context("no calls")?;
    Ok(Sample {
        cpu_ns: measure::per_call(used, calls),
        wall_ns: measure::per_call(last - began, calls),
        p50_ns: median.as_nanos() as f64,
        ..Sample::default()
    })
}

async fn in_flight<C: Caller>(caller: &Arc<C>, calls: u64) -> Result<Sample> {
    let left = Arc::new(AtomicU64::new(calls));
    let (began, cpu) = (Instant::now(), measure::cpu());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (caller, left) = (Arc::clone(caller), Arc::clone(&left));
        callers.spawn(async move {
            let take = |left: u64| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                caller.call().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    let used = measure::cpu_since(cpu);
    ensure!(left.load(Ordering::Relaxed) == 0);
    Ok(Sample {
        cpu_ns: measure::per_call(used, calls),
        wall_ns: measure::per_call(began.elapsed(), calls),
        ..Sample::default()
    })
}
