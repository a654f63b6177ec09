//! What is tried: one toolkit for all users and servers, as a platform has it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result};
use mcp_harness::process::this_program;
use mcp_toolkit::auth::{
    CredentialError, PerPrincipal, Principal, RefreshingToken, SharedProvider, Token, TokenContext,
};
use mcp_toolkit::cache::ToolCache;
use mcp_toolkit::core::{Limits, ServerId};
use mcp_toolkit::http::{HttpClient, HttpRequest, HttpUrl};
use mcp_toolkit::middleware::{Audit, SinkPolicy};
use mcp_toolkit::oauth::{AuthorizationRequest, OAuth};
use mcp_toolkit::{HttpLoader, McpToolkit, load_mcp_tools_http, load_mcp_tools_stdio};

use super::audit::Tally;
use super::faults::Fault;
use super::servers::Servers;
use super::world::{CHILD, MODERN, OAUTH, OLD, SESSIONS, World};
use crate::child::TOKEN;

/// How long a load or a call may take, where nobody says less.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// A toolkit, and what it takes to look behind it.
pub(super) struct Platform {
    pub(super) toolkit: McpToolkit,
    pub(super) audit: Audit,
    pub(super) tally: Tally,
    oauth: OAuth,
    browser: HttpClient,
    world: Arc<World>,
}

impl Platform {
    pub(super) fn new(world: &Arc<World>, servers: &Servers) -> Result<Self> {
        let tally = Tally::default();
        let audit = Audit::new().sink(tally.sink(), SinkPolicy::Drop)?;
        let url = servers.resource.url();
        let oauth = OAuth::builder(ServerId::new(OAUTH)?, HttpUrl::parse(&url)?)
            .redirect_uri("http://127.0.0.1:4711/callback")
            .build();
        let mut limits = Limits::default();
        limits.startup_timeout = PATIENCE;
        limits.call_timeout = PATIENCE;
        limits.connect_timeout = Duration::from_secs(2);
        let at = |url: String| -> HttpLoader {
            load_mcp_tools_http(url).credentials(rotating(world, 1_000..4_000, NoTokens::AreTold))
        };
        let childs: SharedProvider = Arc::new(rotating(world, 20_000..60_000, NoTokens::Never));
        let program = this_program()?;
        let child = load_mcp_tools_stdio(program.to_string_lossy())
            .args(["child"])
            .env(TOKEN, childs);
        let toolkit = McpToolkit::builder()
            .server(MODERN, at(servers.modern.url()))
            .server(SESSIONS, at(servers.sessions.url()))
            .server(OLD, at(servers.old.url()))
            .server(OAUTH, load_mcp_tools_http(url).credentials(oauth.clone()))
            .server(CHILD, child)
            .limits(limits)
            .cache(&ToolCache::builder().ttl(Duration::from_secs(20)).build())
            .middleware(audit.clone())
            .build()?;
        Ok(Self {
            toolkit,
            audit,
            tally,
            oauth,
            browser: HttpClient::new(),
            world: Arc::clone(world),
        })
    }

    /// Lets go of everything but what was counted.
    pub(super) fn closed(self) -> Result<Self> {
        let toolkit = McpToolkit::builder().build()?;
        let oauth = OAuth::builder(ServerId::new(OAUTH)?, HttpUrl::parse("http://localhost")?);
        Ok(Self {
            toolkit,
            oauth: oauth.build(),
            browser: HttpClient::new(),
            ..self
        })
    }

    /// The user consents in the browser.
    pub(super) async fn log_in(&self, principal: &Principal) -> Result<()> {
        let user = principal.user();
        let request = AuthorizationRequest::new().scopes([format!("user-{user}")]);
        let prompt = self.oauth.begin(principal, request).await?;
        let url = HttpUrl::parse(&prompt.authorize_url)?;
        let response = self.browser.send(HttpRequest::get(&url)).await;
        let response = response.map_err(mcp_toolkit::core::Error::from)?;
        let callback = response.header(&http::header::LOCATION);
        let callback = callback.context("the browser was not sent back")?;
        self.oauth.complete(callback).await?;
        self.world.authorize(user, true);
        Ok(())
    }

    pub(super) async fn log_out(&self, principal: &Principal, server: &'static str) -> Result<()> {
        let user = principal.user();
        let _going = self.world.faults.begin(server, Some(user), Fault::Logout);
        if server == OAUTH {
            self.world.authorize(user, false);
        }
        Ok(self.toolkit.logout(principal, server).await?)
    }
}

/// Whether those who ask hear of it when nobody issues tokens.
#[derive(Clone, Copy)]
enum NoTokens {
    AreTold,
    Never,
}

/// A token of its own for each user, which lives for some milliseconds.
fn rotating(world: &Arc<World>, life: std::ops::Range<u64>, no_tokens: NoTokens) -> PerPrincipal {
    let world = Arc::clone(world);
    PerPrincipal::new(move |_, principal: &Principal| {
        let (world, user) = (Arc::clone(&world), principal.user().to_owned());
        let life = life.clone();
        Ok(RefreshingToken::new(move |_: TokenContext| {
            let (world, user) = (Arc::clone(&world), user.clone());
            let life = Duration::from_millis(fastrand::u64(life.clone()));
            async move {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(..20))).await;
                if world.no_tokens.load(Ordering::Relaxed) && matches!(no_tokens, NoTokens::AreTold)
                {
                    return Err(CredentialError::unavailable("nobody issues tokens now"));
                }
                Ok(Token::new(world.issue(&user, life)).expires_in(life))
            }
        }))
    })
}
