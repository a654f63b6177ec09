//! What a tenant holds who has fifty tools of its own, or the same ones as everybody.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use mcp_adapter::ToolSet;
use mcp_auth::{Credentials, Principal};
use mcp_core::wire::{ToolCollector, ToolsPage};
use mcp_core::{CallContext, Limits, ServerInfo, ToolListing, ToolServer};
use mcp_http::HttpServer;
use mcp_tool_cache::ToolCache;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;

use crate::lists::{TextTool, ValueTool};
use crate::measure::{self, Sample};
use crate::server::tools;

/// Tools of one tenant.
const TOOLS: usize = 50;

pub(crate) fn run(contender: &str, tenants: u64) -> Result<Sample> {
    let held = match contender {
        "raw text" => holding(tenants, |tenant| read::<TextTool>(&page(tenant)))?,
        "raw values" => holding(tenants, |tenant| read::<ValueTool>(&page(tenant)))?,
        "rmcp" => holding(tenants, |tenant| read::<rmcp::model::Tool>(&page(tenant)))?,
        "cached tool set, private tools" => cached(tenants, page)?,
        // So many that the cache's own furniture does not count.
        "cached tool set, equal tools" => cached(10 * tenants, |_| page(0))? / 10.0,
        other => bail!("no such contender: {other}"),
    };
    Ok(Sample {
        allocated_bytes: held / tenants as f64,
        ..Sample::default()
    })
}

fn page(tenant: u64) -> String {
    let mark = format!(" of tenant {tenant}");
    serde_json::json!({ "tools": tools(TOOLS, &mark) }).to_string()
}

fn read<T: DeserializeOwned>(page: &str) -> Result<Vec<T>> {
    #[derive(Deserialize)]
    struct Page<T> {
        tools: Vec<T>,
    }
    let page: Page<T> = serde_json::from_str(page)?;
    Ok(page.tools)
}

/// Bytes that all tenants together still hold.
fn holding<T>(tenants: u64, load: impl Fn(u64) -> Result<T>) -> Result<f64> {
    // What is made once is nobody's.
    let first = load(0)?;
    let mut kept = Vec::with_capacity(usize::try_from(tenants)?);
    let mut failed = Ok(());
    let held = measure::kept(|| {
        for tenant in 1..=tenants {
            match load(tenant) {
                Ok(made) => kept.push(made),
                Err(error) => failed = Err(error),
            }
        }
    });
    failed?;
    drop(first);
    Ok(held)
}

/// A set for each tenant, in the cache: key, entry, binding, catalog and all.
fn cached(tenants: u64, page: impl Fn(u64) -> String) -> Result<f64> {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let cache = ToolCache::builder().capacity(100_000).build();
    let server = HttpServer::builder("http://localhost/mcp").build()?;
    let server: Arc<dyn ToolServer> = Arc::new(server);
    let limits = Limits::default();
    let listing = |tenant: u64| -> Result<ToolListing> {
        let page = page(tenant);
        let page: &RawValue = serde_json::from_str(&page)?;
        let mut collector = ToolCollector::new(ServerInfo::default(), &limits);
        collector.add(&ToolsPage::parse(page)?)?;
        Ok(collector.finish())
    };
    holding(tenants, |tenant| {
        let principal = Principal::in_tenant(format!("tenant-{tenant}"), "alice")?;
        let credentials = Credentials::bearer(format!("test-token-{tenant}"))?;
        let builder = ToolSet::builder(Arc::clone(&server)).principal(principal.clone());
        let context = CallContext::new(principal);
        let list = async || Ok(listing(tenant).map_err(|_| mcp_core::Error::cancelled())?);
        let load = cache.get_or_load_with(&builder, &credentials, list);
        let set = runtime.block_on(load)?;
        set.get(set.iter().next().context("an empty set")?.name())?;
        drop(context);
        Ok(())
    })
}
