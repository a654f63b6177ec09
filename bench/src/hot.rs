//! What every call does before it does anything: ask for credentials, look up tools.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use anyhow::{Context as _, Result, bail, ensure};
use mcp_adapter::ToolSet;
use mcp_auth::{
    Bearer, CredentialProvider, CredentialRequest, Credentials, PerPrincipal, Principal, ServerId,
};
use mcp_core::wire::{ToolCollector, ToolsPage};
use mcp_core::{Limits, ServerInfo, ToolServer};
use mcp_http::HttpServer;
use mcp_tool_cache::ToolCache;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;

use crate::measure::{self, Sample};
use crate::ours;
use crate::server::tools;

pub(crate) fn run(runtime: &Runtime, contender: &str, times: u64) -> Result<Sample> {
    match contender {
        "credentials, bearer" => credentials(runtime, &Bearer::new("test-token-alice")?, times),
        "credentials, refreshing" => credentials(runtime, &ours::refreshing(), times),
        "credentials, per principal" => credentials(
            runtime,
            &PerPrincipal::new(|_, _| Ok(ours::refreshing())),
            times,
        ),
        "tools from the cache" => cache_hit(runtime, times),
        other => bail!("no such contender: {other}"),
    }
}

fn credentials(runtime: &Runtime, provider: &dyn CredentialProvider, times: u64) -> Result<Sample> {
    let (server, alice) = (
        ServerId::new("server")?,
        Principal::in_tenant("acme", "alice")?,
    );
    let request = CredentialRequest::new(&server, &alice);
    runtime.block_on(async { provider.credentials(request).await })?;
    repeat(times, || {
        let ready = provider.credentials(request).now().ok();
        ready.context("not at hand")??;
        Ok(())
    })
}

fn cache_hit(runtime: &Runtime, times: u64) -> Result<Sample> {
    let alice = Principal::in_tenant("acme", "alice")?;
    let server: Arc<dyn ToolServer> =
        Arc::new(HttpServer::builder("http://localhost/mcp").build()?);
    let builder = ToolSet::builder(server).principal(alice);
    let credentials = Credentials::bearer("test-token-alice")?;
    let cache = ToolCache::new();
    let page = serde_json::json!({ "tools": tools(50, "") }).to_string();
    let page: &RawValue = serde_json::from_str(&page)?;
    let limits = Limits::default();
    let list = async || {
        let mut collector = ToolCollector::new(ServerInfo::default(), &limits);
        collector.add(&ToolsPage::parse(page)?)?;
        Ok(collector.finish())
    };
    runtime.block_on(cache.get_or_load_with(&builder, &credentials, list))?;
    repeat(times, || {
        let hit = at_once(cache.get_or_load_with(&builder, &credentials, list));
        ensure!(hit.context("a hit waits")??.len() == 50);
        Ok(())
    })
}

fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn repeat(times: u64, once: impl Fn() -> Result<()>) -> Result<Sample> {
    let many = |times: u64| (0..times).try_for_each(|_| once());
    many(times / 10)?;
    let cpu = measure::cpu();
    many(times)?;
    let used = measure::cpu_since(cpu);
    let mut counted = Ok(());
    let (allocations, allocated_bytes) = measure::allocations(100, || counted = many(100));
    counted?;
    Ok(Sample {
        cpu_ns: measure::per_call(used, times),
        allocations,
        allocated_bytes,
        ..Sample::default()
    })
}
