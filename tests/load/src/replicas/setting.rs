//! Redis, the authorization server with its resource, and the users who have logged in.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use mcp_testbed::oauth::AuthServer;
use mcp_testbed::redis::{RedisOptions, RedisServer};
use mcp_toolkit::auth::{Principal, SealingKeys, ServerId, SharedStore};
use mcp_toolkit::core::{CallContext, ToolCall, ToolDefinition, ToolServer};
use mcp_toolkit::http::{HttpClient, HttpRequest, HttpServer, HttpUrl};
use mcp_toolkit::oauth::{AuthorizationRequest, OAuth};
use mcp_toolkit::redis::{Redis, RedisConfig, RedisTokenStore};
use serde_json::Map;

const KEY: &str = "test-key-0123456789-0123456789-0123456789";
const REDIRECT: &str = "http://127.0.0.1:4711/callback";
/// Longer than the token endpoint takes here; how long a killed replica holds others up.
const LEASE: Duration = Duration::from_secs(2);
/// Between a refresh token's use and the answer: when a killed replica takes the answer along.
const TOKEN_DELAY: Duration = Duration::from_millis(100);
/// How long tokens live, in seconds, while their lives are counted.
pub(super) const SHORT: u64 = 2;
/// And while nothing is to be refreshed.
pub(super) const LONG: u64 = 3_600;
/// No call may take longer.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

pub(super) struct Setting {
    pub(super) redis: RedisServer,
    pub(super) issuer: AuthServer,
}

impl Setting {
    /// Redis writes to disk before it answers: what it said is there after a crash.
    pub(super) async fn start() -> Self {
        let issuer = AuthServer::start().await;
        issuer.lifetime(SHORT);
        issuer.forgive_lost_answers();
        issuer.delay_tokens(TOKEN_DELAY);
        Self {
            redis: RedisOptions::new().durable().start(),
            issuer,
        }
    }

    pub(super) async fn log_in(&self, users: usize) -> Result<()> {
        let oauth = provider(&self.redis.url(), &self.issuer.url())?;
        for number in 0..users {
            let user = user(number)?;
            let prompt = oauth.begin(&user, AuthorizationRequest::new()).await?;
            let url = HttpUrl::parse(&prompt.authorize_url)?;
            let answer = HttpClient::new().send(HttpRequest::get(&url)).await?;
            let callback = answer.header(&http::header::LOCATION);
            oauth.complete(callback.context("no callback")?).await?;
        }
        Ok(())
    }

    /// How many users have to log in again: asked by a process that held nothing so far.
    pub(super) async fn logins_lost(&self, users: usize) -> Result<usize> {
        let caller = Caller::new(&self.redis.url(), &self.issuer.url())?;
        let mut lost = 0;
        for number in 0..users {
            lost += usize::from(caller.call(&user(number)?).await.is_err());
        }
        Ok(lost)
    }
}

/// Who can call the resource for every user.
pub(super) struct Caller {
    server: HttpServer,
    tool: ToolDefinition,
}

impl Caller {
    pub(super) fn new(redis: &str, resource: &str) -> Result<Self> {
        let oauth = provider(redis, resource)?;
        Ok(Self {
            server: HttpServer::builder(resource)
                .credentials(Arc::new(oauth))
                .build()?,
            tool: ToolDefinition::parse(r#"{"name":"echo","inputSchema":{"type":"object"}}"#)?,
        })
    }

    pub(super) fn server(&self) -> Arc<dyn ToolServer> {
        Arc::new(self.server.clone())
    }

    pub(super) async fn call(&self, user: &Principal) -> Result<(), mcp_toolkit::core::Error> {
        let context = CallContext::new(user.clone()).with_timeout(DEADLINE);
        let arguments = Map::new();
        let call = ToolCall::new(&self.tool, &arguments);
        self.server.call_tool(call, &context).await.map(drop)
    }
}

pub(super) fn user(number: usize) -> Result<Principal> {
    Ok(Principal::in_tenant("acme", format!("user-{number}"))?)
}

pub(super) fn connection(redis: &str) -> Result<Redis> {
    Ok(RedisConfig::from_url(redis)?.open()?)
}

fn provider(redis: &str, resource: &str) -> Result<OAuth> {
    let keys = SealingKeys::new(&KEY.into()).map_err(|error| anyhow!("{error}"))?;
    let store = RedisTokenStore::new(connection(redis)?, keys).lease_time(LEASE);
    let store: SharedStore = Arc::new(store);
    let url = HttpUrl::parse(resource)?;
    let oauth = OAuth::builder(ServerId::new("resource")?, url);
    Ok(oauth.redirect_uri(REDIRECT).store(store).build())
}
