//! One server of a toolkit, for all principals.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use mcp_auth::{CredentialRequest, Fingerprint, SharedProvider};
use mcp_core::{
    BoxFuture, CallContext, Error, Principal, ServerId, ToolCall, ToolListing, ToolOutput,
    ToolServer, Transport,
};
use mcp_tool_cache::{CacheKey, ToolCache};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::changes::Changes;

/// What all servers of a toolkit share about its end.
#[derive(Debug, Default)]
pub(super) struct Life {
    over: AtomicBool,
    calls: TaskTracker,
}

impl Life {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.over.load(Ordering::Acquire) {
            return Err(Error::config("the toolkit was shut down"));
        }
        Ok(())
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.calls.close();
    }

    /// When none is under way any more.
    pub(super) async fn calls_ended(&self) {
        self.calls.wait().await;
    }

    /// Counts as under way until it is dropped.
    pub(super) fn under_way(&self) -> TaskTrackerToken {
        self.calls.token()
    }

    /// Counted before the check, so that an end either sees the call or stops it.
    fn begin(&self) -> Result<TaskTrackerToken, Error> {
        let token = self.under_way();
        self.check().map(|()| token)
    }
}

/// The transports whose ends differ.
pub(super) enum Reach {
    #[cfg(feature = "http")]
    Http(mcp_http::HttpServer),
    #[cfg(feature = "stdio")]
    Stdio(Box<mcp_stdio::StdioServer>),
    Own(Arc<dyn ToolServer>),
}

impl Reach {
    fn server(&self) -> &dyn ToolServer {
        match self {
            #[cfg(feature = "http")]
            Self::Http(server) => server,
            #[cfg(feature = "stdio")]
            Self::Stdio(server) => server.as_ref(),
            Self::Own(server) => server.as_ref(),
        }
    }

    fn changes(&self) -> Changes {
        Changes::new(match self {
            #[cfg(feature = "http")]
            Self::Http(server) => Some(server.tool_changes()),
            #[cfg(feature = "stdio")]
            Self::Stdio(server) => Some(server.tool_changes()),
            Self::Own(_) => None,
        })
    }
}

/// A server as the toolkit's tools call it: what a refusal means for the cache, and that nothing
/// begins once the toolkit has ended, is seen to here.
pub(super) struct Member {
    id: ServerId,
    reach: Reach,
    provider: SharedProvider,
    startup: Duration,
    /// Loads at a time. Each server has its own: one that hangs holds up nobody else's.
    turns: Semaphore,
    changes: Changes,
    /// Sets in the cache hold this, so this does not hold the cache.
    cache: Weak<ToolCache>,
    life: Arc<Life>,
}

impl Member {
    pub(super) fn new(
        (id, reach, provider): (ServerId, Reach, SharedProvider),
        startup: Duration,
        concurrency: usize,
        cache: &Arc<ToolCache>,
        life: Arc<Life>,
    ) -> Self {
        Self {
            changes: reach.changes(),
            id,
            reach,
            provider,
            startup,
            turns: Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            cache: Arc::downgrade(cache),
            life,
        }
    }

    pub(super) fn provider(&self) -> &SharedProvider {
        &self.provider
    }

    pub(super) fn startup(&self) -> Duration {
        self.startup
    }

    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    pub(super) fn request<'a>(&'a self, principal: &'a Principal) -> CredentialRequest<'a> {
        CredentialRequest::new(&self.id, principal)
    }

    /// Which credentials the principal has, if that can be told without waiting.
    pub(super) fn fingerprint_now(&self, principal: &Principal) -> Option<Fingerprint> {
        let answer = self.provider.credentials(self.request(principal)).now();
        Some(answer.ok()?.ok()?.fingerprint())
    }

    pub(super) async fn act_on_changes(&self, cache: &ToolCache) {
        self.changes.act(&self.id, cache).await;
    }

    pub(super) async fn list_in_turn(&self, context: &CallContext) -> Result<ToolListing, Error> {
        // Never closed.
        let _turn = self.turns.acquire().await;
        self.list_tools(context).await
    }

    pub(super) async fn close_all(&self, limit: Duration) {
        match &self.reach {
            #[cfg(feature = "http")]
            Reach::Http(server) => server.close_all(limit).await,
            #[cfg(feature = "stdio")]
            Reach::Stdio(server) => {
                let _ = tokio::time::timeout(limit, server.close_all()).await;
            }
            Reach::Own(_) => {}
        }
    }

    /// What the principal could see with these credentials is not known any more.
    pub(super) async fn refused(&self, principal: &Principal) {
        let Some(cache) = self.cache.upgrade() else {
            return;
        };
        match self.fingerprint_now(principal) {
            // Nothing else can be found again: what a principal has now is part of the key.
            Some(credentials) => {
                let key = CacheKey::new(self.id.clone(), principal.clone(), credentials);
                cache.invalidate(&key).await;
            }
            None => cache.invalidate_principal_at(principal, &self.id).await,
        }
    }
}

impl ToolServer for Member {
    fn id(&self) -> &ServerId {
        &self.id
    }

    fn transport(&self) -> Transport {
        self.reach.server().transport()
    }

    fn endpoint(&self) -> Option<&str> {
        self.reach.server().endpoint()
    }

    fn list_tools<'a>(
        &'a self,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolListing, Error>> {
        self.reach.server().list_tools(context)
    }

    fn call_tool<'a>(
        &'a self,
        call: ToolCall<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>> {
        Box::pin(async move {
            let under_way = self.life.begin()?;
            let called = self.reach.server().call_tool(call, context).await;
            if let Err(error) = &called
                && error.kind().is_refusal()
            {
                self.refused(&context.principal).await;
            }
            drop(under_way);
            called
        })
    }

    fn close<'a>(&'a self, context: &'a CallContext) -> BoxFuture<'a, ()> {
        self.reach.server().close(context)
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reach.server().fmt(f)
    }
}
