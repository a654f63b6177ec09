//! One replica: callers that call for the users in turn, and a cache that forgets with the others.
//!
//! It says on its standard output what happens, a line each, and does what its standard input says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use mcp_toolkit::adapter::ToolSet;
use mcp_toolkit::auth::time::{Clock as _, Instant, SystemClock};
use mcp_toolkit::auth::{Credentials, Principal};
use mcp_toolkit::cache::ToolCache;
use mcp_toolkit::core::{CallContext, ToolServer};
use mcp_toolkit::redis::RedisBus;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::task::JoinSet;

use super::setting::{Caller, connection, user};

/// Between two calls of a caller, in milliseconds.
const PAUSE: std::ops::Range<u64> = 250..750;
/// How often counts are said.
const EVERY: Duration = Duration::from_millis(200);
/// How often a cache is looked at for what it has forgotten: the precision of the measurement.
const LOOK: Duration = Duration::from_millis(1);

/// Whose tools are forgotten, by number.
pub(super) const FORGOTTEN: usize = 20;

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    failed: AtomicU64,
    slowest_us: AtomicU64,
}

/// `mcp-load replica <redis> <resource> <callers> <users>`
pub(crate) fn serve(redis: &str, resource: &str, callers: &str, users: &str) -> Result<()> {
    let (callers, users): (usize, usize) = (callers.parse()?, users.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let caller = Arc::new(Caller::new(redis, resource)?);
        let counts = Arc::new(Counts::default());
        let mut tasks = JoinSet::new();
        for number in 0..callers {
            let user = user(number % users)?;
            let (caller, counts) = (Arc::clone(&caller), Arc::clone(&counts));
            tasks.spawn(async move { call_on(&caller, &user, &counts).await });
        }
        tasks.spawn(async move {
            loop {
                say_counts(&counts);
                tokio::time::sleep(EVERY).await;
            }
        });
        let mut commands = BufReader::new(tokio::io::stdin()).lines();
        while let Some(command) = commands.next_line().await? {
            if command == "listen" {
                let (redis, caller) = (redis.to_owned(), Arc::clone(&caller));
                tasks.spawn(async move {
                    if let Err(error) = listen(&redis, caller.server()).await {
                        println!("failed listening {error:#}");
                    }
                });
            }
        }
        Ok(())
    })
}

async fn call_on(caller: &Caller, user: &Principal, counts: &Counts) {
    loop {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(PAUSE))).await;
        let began = Instant::now();
        let outcome = caller.call(user).await;
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        counts.calls.fetch_add(1, Ordering::Relaxed);
        counts.slowest_us.fetch_max(took, Ordering::Relaxed);
        if let Err(error) = outcome {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            println!("failed {} {error}", error.kind().as_str());
        }
    }
}

fn say_counts(counts: &Counts) {
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    println!(
        "counts {} {} {}",
        count(&counts.calls),
        count(&counts.failed),
        count(&counts.slowest_us)
    );
}

/// Keeps the tools of some users, says when those of one are forgotten, and loads them anew.
async fn listen(redis: &str, server: Arc<dyn ToolServer>) -> Result<()> {
    let bus = Arc::new(RedisBus::new(connection(redis)?));
    let cache = ToolCache::builder().bus(bus).build();
    let mut watched = JoinSet::new();
    for number in 0..FORGOTTEN {
        let (cache, server) = (cache.clone(), Arc::clone(&server));
        watched.spawn(async move { watch(&cache, &server, number).await });
    }
    let ended = watched.join_next().await;
    ended.context("nobody watches")??
}

async fn watch(cache: &ToolCache, server: &Arc<dyn ToolServer>, number: usize) -> Result<()> {
    let user = user(number)?;
    let tools = ToolSet::builder(Arc::clone(server)).principal(user.clone());
    let credentials = Credentials::anonymous();
    let context = CallContext::new(user);
    loop {
        let _set = cache.get_or_load(&tools, &credentials, &context).await?;
        println!("keeps {number}");
        while cache.get(&tools, &credentials).await.is_some() {
            tokio::time::sleep(LOOK).await;
        }
        let at = SystemClock.wall().duration_since(std::time::UNIX_EPOCH)?;
        println!("forgot {number} {}", at.as_micros());
    }
}
