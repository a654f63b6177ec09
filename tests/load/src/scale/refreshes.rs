//! Tokens that live for two seconds: a thousand refreshes in each second, one for each life.

use std::time::Duration;

use anyhow::Result;
use mcp_toolkit::auth::time::Instant;
use mcp_toolkit::auth::{CredentialError, PerPrincipal, RefreshingToken, Token, TokenContext};
use mcp_toolkit::http::{HttpClient, HttpRequest, HttpUrl};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinSet;

use super::server::{Counts, LIFE};
use super::users::{Counter, all_there, call, runtime, toolkit, user};

/// Principals; each has a token of its own.
const PRINCIPALS: u64 = 2_000;
/// How often each of them calls.
const PAUSE: Duration = Duration::from_millis(400);

/// How it went.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Refreshes {
    pub(super) principals: u64,
    pub(super) seconds: f64,
    pub(super) calls: u64,
    pub(super) failures: u64,
    pub(super) fetched: u64,
    pub(super) server: Counts,
}

pub(super) fn measure(address: &str, seconds: u64) -> Result<Refreshes> {
    runtime()?.block_on(async {
        let counter = Counter::new(address);
        counter.reset().await?;
        let tokens = tokens(address);
        let toolkit = toolkit(&format!("http://{address}/issued/0"), PRINCIPALS, tokens)?;
        let mut loading = JoinSet::new();
        for number in 1..=PRINCIPALS {
            let toolkit = toolkit.clone();
            loading.spawn(async move {
                let principal = user(number)?;
                let tools = toolkit.tools_for(&principal).await;
                all_there(&tools)?;
                anyhow::Ok((tools, principal))
            });
        }
        let mut crowd = JoinSet::new();
        let mut loaded = Vec::new();
        while let Some(one) = loading.join_next().await {
            loaded.push(one??);
        }
        let before = counter.counts().await?;
        let began = Instant::now();
        let until = began + Duration::from_secs(seconds);
        for (number, (tools, principal)) in (0..).zip(loaded) {
            crowd.spawn(async move {
                // Not all at the same moment.
                let share = PAUSE * number / u32::try_from(PRINCIPALS).unwrap_or(u32::MAX);
                let mut turns = tokio::time::interval_at(Instant::now() + share, PAUSE);
                let (mut calls, mut failures) = (0_u64, 0_u64);
                while turns.tick().await < until {
                    calls += 1;
                    if let Err(error) = call(&tools, &principal).await {
                        failures += 1;
                        if number < 3 {
                            eprintln!("failed: {error:#}");
                        }
                    }
                }
                (calls, failures)
            });
        }
        let (mut calls, mut failures) = (0, 0);
        while let Some(done) = crowd.join_next().await {
            let (more, failed) = done?;
            calls += more;
            failures += failed;
        }
        let elapsed = began.elapsed().as_secs_f64();
        let server = counter.counts().await?;
        Ok(Refreshes {
            principals: PRINCIPALS,
            seconds: elapsed,
            calls,
            failures,
            fetched: server.issued - before.issued,
            server,
        })
    })
}

/// Fetched over HTTP, as from any identity service.
fn tokens(address: &str) -> PerPrincipal {
    let (client, address) = (HttpClient::new(), address.to_owned());
    PerPrincipal::new(move |_, principal| {
        let (client, address, user) =
            (client.clone(), address.clone(), principal.user().to_owned());
        Ok(RefreshingToken::new(move |_: TokenContext| {
            let (client, url) = (client.clone(), format!("http://{address}/token/{user}"));
            async move {
                let gone = |_| CredentialError::unavailable("the identity service");
                let url = HttpUrl::parse(&url).map_err(gone)?;
                let sent = client.send(HttpRequest::post(&url, "")).await;
                let sent = sent.map_err(|error| gone(error.into_error()))?;
                let body: Value =
                    serde_json::from_slice(&sent.beginning(4096).await).unwrap_or_default();
                let token = body["access_token"].as_str().unwrap_or_default().to_owned();
                Ok(Token::new(token).expires_in(LIFE))
            }
        }))
    })
}
