//! Users as the measurements need them, and what they ask.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use mcp_harness::statistics::quantile;
use mcp_toolkit::auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Principal,
};
use mcp_toolkit::cache::ToolCache;
use mcp_toolkit::core::Error;
use mcp_toolkit::http::{HttpClient, HttpRequest, HttpUrl};
use mcp_toolkit::{McpToolkit, PrincipalTools, ServerTools, load_mcp_tools_http};
use serde_json::json;
use tokio::runtime::Runtime;

use super::server::Counts;

/// The one server.
pub(super) const SERVER: &str = "records";

/// How many tools it has.
pub(super) const TOOLS: usize = 50;

/// Makes each token anew, so that none is part of the figures.
#[derive(Debug)]
pub(super) struct Known;

impl CredentialProvider for Known {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let token = format!("test-token-{}", request.principal.user());
        MaybeReady::ready(Credentials::bearer(token).map_err(Into::into))
    }
}

pub(super) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

pub(super) fn user(number: u64) -> Result<Principal> {
    Ok(Principal::new(format!("user{number}"))?)
}

/// A toolkit with default settings but for a cache that holds all of them.
pub(super) fn toolkit(
    url: &str,
    principals: u64,
    provider: impl CredentialProvider + 'static,
) -> Result<McpToolkit> {
    let cache = ToolCache::builder().capacity(principals.max(10_000) * 2);
    Ok(McpToolkit::builder()
        .server(SERVER, load_mcp_tools_http(url))
        .credentials(SERVER, provider)
        .cache(&cache.build())
        .build()?)
}

/// That all tools are there.
pub(super) fn all_there(tools: &PrincipalTools) -> Result<()> {
    match tools.server(SERVER).context("there is no such server")? {
        ServerTools::Active(tools) => ensure!(tools.len() == TOOLS, "{} tools", tools.len()),
        ServerTools::Failed(error) => bail!("no tools: {error:?}"),
        other => bail!("no tools: {other:?}"),
    }
    Ok(())
}

/// One call; the answer has to be the caller's.
pub(super) async fn call(tools: &PrincipalTools, principal: &Principal) -> Result<()> {
    let tool = tools.tools().get("search_records_07")?;
    let user = principal.user();
    let output = tool.call(json!({ "user": user })).await?;
    ensure!(output.text() == user, "{} answered {user}", output.text());
    Ok(())
}

/// What the server counted, or an order to count anew.
pub(super) struct Counter {
    client: HttpClient,
    address: String,
}

impl Counter {
    pub(super) fn new(address: &str) -> Self {
        Self {
            client: HttpClient::new(),
            address: address.to_owned(),
        }
    }

    pub(super) async fn reset(&self) -> Result<()> {
        let url = HttpUrl::parse(&format!("http://{}/reset", self.address))?;
        let sent = self.client.send(HttpRequest::post(&url, "")).await;
        ensure!(sent.map_err(Error::from)?.status() == 204, "no reset");
        Ok(())
    }

    pub(super) async fn counts(&self) -> Result<Counts> {
        let url = HttpUrl::parse(&format!("http://{}/counts", self.address))?;
        let sent = self.client.send(HttpRequest::get(&url)).await;
        let body = sent.map_err(Error::from)?.beginning(4096).await;
        Ok(serde_json::from_slice(&body)?)
    }
}

/// The middle and the 99th of a hundred, in microseconds.
pub(super) fn percentiles(times: &[Duration]) -> (f64, f64) {
    let micros = times.iter().map(|time| time.as_secs_f64() * 1e6);
    let mut sorted: Vec<f64> = micros.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |share| quantile(&sorted, share).unwrap_or_default();
    (at(0.5), at(0.99))
}
