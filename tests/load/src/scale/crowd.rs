//! Ten thousand principals at once, through one pool whose connections are bounded.

use std::sync::Arc;

use anyhow::Result;
use mcp_toolkit::auth::time::Instant;
use mcp_toolkit::core::Limits;
use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::server::Counts;
use super::users::{Counter, Known, all_there, call, runtime, toolkit, user};

/// Calls of each principal, one after another.
const CALLS: u64 = 3;

/// How it went.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Crowd {
    pub(super) principals: u64,
    pub(super) calls: u64,
    pub(super) failures: u64,
    pub(super) loading_seconds: f64,
    pub(super) calling_seconds: f64,
    /// Memory at its highest, beyond what there was before.
    pub(super) peak: u64,
    /// The bound of requests in flight.
    pub(super) in_flight: u64,
    pub(super) server: Counts,
}

pub(super) fn measure(address: &str, principals: u64) -> Result<Crowd> {
    runtime()?.block_on(async {
        let counter = Counter::new(address);
        counter.reset().await?;
        let url = format!("http://{address}/known/20");
        let toolkit = toolkit(&url, principals, Known)?;
        all_there(&toolkit.tools_for(&user(0)?).await)?;
        let before = crate::procfs::peak();
        // Nobody calls before everybody has loaded: all of them have a call to make at that moment.
        let loaded = Arc::new(Barrier::new(usize::try_from(principals + 1)?));
        let mut crowd = JoinSet::new();
        let began = Instant::now();
        for number in 1..=principals {
            let (toolkit, loaded) = (toolkit.clone(), Arc::clone(&loaded));
            crowd.spawn(async move {
                let principal = user(number)?;
                let tools = toolkit.tools_for(&principal).await;
                loaded.wait().await;
                all_there(&tools)?;
                for _ in 0..CALLS {
                    call(&tools, &principal).await?;
                }
                anyhow::Ok(())
            });
        }
        loaded.wait().await;
        let loading = began.elapsed();
        let mut failures = 0;
        while let Some(done) = crowd.join_next().await {
            if let Err(error) = done? {
                failures += 1;
                if failures <= 3 {
                    eprintln!("failed: {error:#}");
                }
            }
        }
        let calling = began.elapsed().saturating_sub(loading);
        Ok(Crowd {
            principals,
            calls: principals * CALLS,
            failures,
            loading_seconds: loading.as_secs_f64(),
            calling_seconds: calling.as_secs_f64(),
            peak: crate::procfs::peak().saturating_sub(before),
            in_flight: u64::try_from(Limits::default().calls_in_flight)?,
            server: counter.counts().await?,
        })
    })
}
