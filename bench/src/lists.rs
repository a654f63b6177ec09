//! A list of 500 tools, from the request to something that can be used.

use anyhow::{Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::floor::Floor;
use crate::measure::{self, Sample};
use crate::ours;
use crate::peers::{Connections, Dialect, Rmcp};
use crate::server::LONG_LIST;

/// Loads before anything is counted.
const WARM_UP: u64 = 3;

pub(crate) fn run(runtime: &Runtime, contender: &str, url: &str, loads: u64) -> Result<Sample> {
    match contender {
        "raw text" => {
            let floor = Floor::new(url.to_owned());
            repeat(runtime, loads, async || {
                let list: Answer<TextTool> = serde_json::from_slice(&floor.list().await?)?;
                Ok(list.len())
            })
        }
        "raw values" => {
            let floor = Floor::new(url.to_owned());
            repeat(runtime, loads, async || {
                let list: Answer<ValueTool> = serde_json::from_slice(&floor.list().await?)?;
                Ok(list.len())
            })
        }
        "tool set" => {
            let (builder, context) = ours::builder(url)?;
            repeat(runtime, loads, async || {
                Ok(builder.load(&context).await?.len())
            })
        }
        "tool set, known tools" => {
            let (builder, context) = ours::builder(url)?;
            let _known = runtime.block_on(builder.load(&context))?;
            repeat(runtime, loads, async || {
                Ok(builder.load(&context).await?.len())
            })
        }
        "rmcp pooled" => {
            let (connections, dialect) = (Connections::Pooled, Dialect::Stateless);
            let peer = runtime.block_on(Rmcp::connect(url, connections, dialect, None))?;
            repeat(runtime, loads, async || peer.list().await)
        }
        other => bail!("no such contender: {other}"),
    }
}

fn repeat(runtime: &Runtime, loads: u64, load: impl AsyncFn() -> Result<usize>) -> Result<Sample> {
    let some = async |loads: u64| {
        for _ in 0..loads {
            ensure!(load().await? == LONG_LIST, "a list of another length");
        }
        anyhow::Ok(())
    };
    runtime.block_on(some(WARM_UP))?;
    let (began, cpu) = (Instant::now(), measure::cpu());
    runtime.block_on(some(loads))?;
    let (used, took) = (measure::cpu_since(cpu), began.elapsed());
    let mut counted = Ok(());
    let (allocations, allocated_bytes) =
        measure::allocations(1, || counted = runtime.block_on(some(1)));
    counted?;
    Ok(Sample {
        cpu_ns: measure::per_call(used, loads),
        wall_ns: measure::per_call(took, loads),
        allocations,
        allocated_bytes,
        ..Sample::default()
    })
}

/// The answer to `tools/list`.
#[derive(Deserialize)]
struct Answer<T> {
    result: List<T>,
}

#[derive(Deserialize)]
struct List<T> {
    tools: Vec<T>,
}

impl<T> Answer<T> {
    fn len(&self) -> usize {
        std::hint::black_box(&self.result.tools).len()
    }
}

/// A tool whose schema stays text: the least that can be kept of it.
#[derive(Deserialize)]
#[expect(dead_code, reason = "kept, not read")]
pub(crate) struct TextTool {
    name: String,
    description: Option<String>,
    #[serde(rename = "inputSchema")]
    input_schema: Box<RawValue>,
}

/// A tool whose schema is a tree.
#[derive(Deserialize)]
#[expect(dead_code, reason = "kept, not read")]
pub(crate) struct ValueTool {
    name: String,
    description: Option<String>,
    #[serde(rename = "inputSchema")]
    input_schema: Value,
}
