//! Two hundred children: started, used, reaped.

use std::sync::Arc;

use anyhow::{Result, ensure};
use mcp_harness::process::this_program;
use mcp_stdio::StdioServer;
use mcp_toolkit::auth::SharedProvider;
use mcp_toolkit::auth::time::Instant;
use mcp_toolkit::core::ToolServer;
use mcp_toolkit::{McpToolkit, ServerTools};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::users::{Known, user};
use crate::child::TOKEN;
use crate::procfs::{children, open_files};

/// Children that are started at a time.
const AT_A_TIME: usize = 8;

/// How it went. Files and children are this process's.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Children {
    pub(super) number: u64,
    pub(super) running: usize,
    pub(super) failures: u64,
    pub(super) start_seconds: f64,
    pub(super) use_seconds: f64,
    pub(super) reap_seconds: f64,
    pub(super) files_before: usize,
    pub(super) files_meanwhile: usize,
    pub(super) files_after: usize,
    pub(super) left: usize,
    pub(super) zombies: usize,
}

pub(super) fn measure(number: u64) -> Result<Children> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let program = this_program()?;
        let credential: SharedProvider = Arc::new(Known);
        let server = StdioServer::builder(program.to_string_lossy())
            .args(["child"])
            .env(TOKEN, credential)
            .max_children(usize::try_from(number)?)
            .build()?;
        let server = Arc::new(server);
        let own: Arc<dyn ToolServer> = Arc::<StdioServer>::clone(&server);
        let toolkit = McpToolkit::builder()
            .server("children", own)
            .credentials("children", Known)
            .build()?;
        // The first one brings what all of them share: a thread, and what it listens to.
        one(&toolkit, 0).await?;
        server.close_all().await;
        let files_before = open_files();
        let began = Instant::now();
        let failures = all(&toolkit, number).await?;
        let start_seconds = began.elapsed().as_secs_f64();
        let again = Instant::now();
        let failures = failures + all(&toolkit, number).await?;
        let use_seconds = again.elapsed().as_secs_f64();
        let (running, _) = children();
        let files_meanwhile = open_files();
        let reaping = Instant::now();
        server.close_all().await;
        let reap_seconds = reaping.elapsed().as_secs_f64();
        let (left, zombies) = children();
        Ok(Children {
            number,
            running,
            failures,
            start_seconds,
            use_seconds,
            reap_seconds,
            files_before,
            files_meanwhile,
            files_after: open_files(),
            left,
            zombies,
        })
    })
}

/// Everybody's tools and one call, a few at a time. How many failed.
async fn all(toolkit: &McpToolkit, number: u64) -> Result<u64> {
    let turns = Arc::new(Semaphore::new(AT_A_TIME));
    let mut users = JoinSet::new();
    for number in 0..number {
        let (toolkit, turns) = (toolkit.clone(), Arc::clone(&turns));
        users.spawn(async move {
            let _turn = turns.acquire_owned().await;
            one(&toolkit, number).await
        });
    }
    let mut failures = 0;
    while let Some(done) = users.join_next().await {
        if let Err(error) = done? {
            failures += 1;
            eprintln!("failed: {error:#}");
        }
    }
    Ok(failures)
}

async fn one(toolkit: &McpToolkit, number: u64) -> Result<()> {
    let principal = user(number)?;
    let tools = toolkit.tools_for(&principal).await;
    if let Some(ServerTools::Failed(error)) = tools.server("children") {
        return Err(error.clone().into());
    }
    let said = tools.tools().get("whoami")?;
    let said = said.call(json!({ "nonce": number })).await?.text();
    let expected = format!("{} {number}", principal.user());
    ensure!(said == expected, "{said} for {expected}");
    Ok(())
}
