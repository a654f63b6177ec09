//! A bearer token that is fetched when needed, from a source that knows nothing of caching.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::engine::Engine;
use super::event::CredentialEvent;
use super::fetch::TokenFetch;
use super::windows::Windows;
use crate::time::SharedClock;
use crate::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Principal,
    Recovery, Rejection, ServerId, SharedStore, StorePolicy, Token, TokenKey, TokenSource,
};

/// No fetch is waited for longer than this; the bound keeps points in time from overflowing.
const MAX_DEADLINE: Duration = Duration::from_secs(24 * 3600);

/// `Authorization: Bearer <token>` with a token that is always fresh.
///
/// Wraps a [`TokenSource`]. A call is answered with the token that is held, without waiting. The
/// source is asked when there is none, early when the token's end is near (calls go on with the
/// one that is held), and when a server refuses the token; one request to it serves everybody who
/// waits, and callers that go away do not stop it. While the source fails, a token that is still
/// valid stays in use, and the source is left alone for a growing while.
///
/// One `RefreshingToken` is one credential: every caller gets the same token. For a token per
/// user, see [`PerPrincipal`](crate::PerPrincipal).
///
/// ```
/// use std::time::Duration;
/// use mcp_auth::{RefreshingToken, Token, TokenContext};
///
/// let provider = RefreshingToken::new(|_: TokenContext| async {
///     // Ask your identity service here.
///     Ok(Token::new("test-token").expires_in(Duration::from_secs(300)))
/// });
/// ```
///
/// Clones share the token and whatever is under way; settings changed on one are its own.
///
/// # Defaults
/// A token is not sent in the last 5 seconds of its life, and is refreshed in the last 30, moved
/// up to a quarter earlier by chance; for short lives these are at most a tenth and a fifth of it.
/// A token whose source does not say when it ends is used for 15 minutes. A fetch may take 30
/// seconds.
#[derive(Clone)]
pub struct RefreshingToken {
    engine: Engine,
    fetch: Arc<TokenFetch>,
}

impl RefreshingToken {
    /// A provider of tokens from this source. Asks nothing yet and starts no task.
    pub fn new(source: impl TokenSource + 'static) -> Self {
        let fetch = Arc::new(TokenFetch::new(Arc::new(source)));
        Self {
            engine: Engine::new(Arc::<TokenFetch>::clone(&fetch)),
            fetch,
        }
    }

    /// How long before its end a token is no longer sent (default 5 s, at most a tenth of its
    /// life).
    pub fn skew(self, skew: Duration) -> Self {
        self.windows(|windows| windows.skew = skew)
    }

    /// How long before its end a token is refreshed while calls go on with it (default 30 s, at
    /// most a fifth of its life).
    pub fn refresh_early(self, early: Duration) -> Self {
        self.windows(|windows| windows.early = early)
    }

    /// How much earlier than that chance may move the refresh, as a share of the early window
    /// (default 0.25), so that a fleet does not refresh in one moment. 0 turns it off.
    pub fn jitter(self, share: f64) -> Self {
        let share = if share.is_finite() {
            share.max(0.0)
        } else {
            0.0
        };
        self.windows(|windows| windows.jitter = share.min(10.0))
    }

    /// The life of a token whose source does not say when it ends (default 15 minutes).
    pub fn default_lifetime(self, lifetime: Duration) -> Self {
        self.windows(|windows| windows.default_lifetime = lifetime)
    }

    /// How long one fetch may take, the store included (default 30 s, at most a day).
    pub fn fetch_deadline(mut self, deadline: Duration) -> Self {
        self.engine.deadline = deadline.min(MAX_DEADLINE);
        self
    }

    /// Keeps the token in a store under this key. A stored token that is still good is used instead
    /// of asking the source; a new one is stored before it is used; and of all processes that share
    /// the store, one asks the source.
    pub fn store(self, store: SharedStore, key: TokenKey) -> Self {
        self.change(|fetch| fetch.store = Some((store, key)))
    }

    /// What to do when the store does not answer (default: wait, then fail).
    pub fn store_policy(self, policy: StorePolicy) -> Self {
        self.change(|fetch| fetch.policy = policy)
    }

    /// Where time comes from.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.engine.clock = clock;
        self
    }

    /// Calls this when the token is refreshed, when that fails and when a server refuses it. It
    /// runs on the way of the refresh, so it should be quick.
    pub fn on_event(
        mut self,
        observer: impl Fn(&CredentialEvent<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.engine.observer = Some(Arc::new(observer));
        self
    }

    /// Puts in a token that was had in another way, such as by a login a moment ago, and forgets
    /// what failed. With a store, it is stored first.
    ///
    /// # Errors
    /// When the token cannot stand in a header or has ended, or the store fails.
    pub async fn replace(&self, token: Token) -> Result<(), CredentialError> {
        let (credentials, life) = self.fetch.replace(token, &self.engine.clock).await?;
        self.engine.replace(credentials, life);
        Ok(())
    }

    fn windows(self, change: impl FnOnce(&mut Windows)) -> Self {
        self.change(|fetch| change(&mut fetch.windows))
    }

    fn change(mut self, change: impl FnOnce(&mut TokenFetch)) -> Self {
        change(Arc::make_mut(&mut self.fetch));
        self.engine.set_fetch(Arc::<TokenFetch>::clone(&self.fetch));
        self
    }
}

impl CredentialProvider for RefreshingToken {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        self.engine.credentials()
    }

    fn rejected<'a>(
        &'a self,
        rejection: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        self.engine.rejected(rejection)
    }

    /// Deletes the stored token if it is this principal's, and holds none any more. A token under
    /// another principal's key, or without a store, is not one principal's alone.
    fn logged_out<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<(), CredentialError>> {
        if !self.fetch.is_kept_for(&|whose| whose == request.principal) {
            return MaybeReady::ready(Ok(()));
        }
        MaybeReady::new(async move {
            let deleted = self.fetch.delete().await;
            self.engine.clear();
            deleted
        })
    }

    /// Holds none any more if it is that principal's; the next request looks into the store.
    fn logged_out_elsewhere(&self, _: &ServerId, whom: &dyn Fn(&Principal) -> bool) {
        if self.fetch.is_kept_for(whom) {
            self.fetch.forget();
            self.engine.clear();
        }
    }

    fn header_names(&self) -> Vec<HeaderName> {
        vec![http::header::AUTHORIZATION]
    }
}

impl fmt::Debug for RefreshingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshingToken")
            .field("engine", &self.engine)
            .field("windows", &self.fetch.windows)
            .finish_non_exhaustive()
    }
}
