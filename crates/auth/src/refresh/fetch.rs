//! One refresh of a token as a transaction: lease, look again, exchange, store, publish.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::engine::{Fetch, FetchContext, FetchFuture, Fetched};
use super::windows::{Life, Windows};
use crate::store::{Expected, Lease, Revision, Save, Saved, SharedStore, StoredToken, TokenKey};
use crate::time::SharedClock;
use crate::{
    AuthorizationRequired, CredentialError, Credentials, Principal, Token, TokenContext,
    TokenSource,
};

/// How often to look whether the process that has the lease is done: at first after this…
const POLL: Duration = Duration::from_millis(20);
/// …then after twice as long each time, up to this.
const POLL_MAX: Duration = Duration::from_millis(320);
/// How much longer than the fetch a lease may live, so that it does not end just before.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// How often to try to store a new token before giving up for now.
const SAVES: u32 = 4;
/// The pause after the first failed try; it doubles.
const SAVE_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(super) struct TokenFetch {
    source: Arc<dyn TokenSource>,
    pub(super) windows: Windows,
    pub(super) store: Option<(SharedStore, TokenKey)>,
    /// The last token, whose refresh token buys the next.
    held: Arc<Mutex<Latest>>,
}

#[derive(Default)]
struct Latest {
    held: Option<Held>,
    /// How often somebody put in another token: a fetch that began before does not overwrite it.
    replaced: u64,
}

#[derive(Clone)]
struct Held {
    token: Token,
    obtained_at: SystemTime,
    /// Which writing of the store it is, or, while it has not been stored, which it comes after.
    revision: Option<Revision>,
    saved: bool,
}

impl TokenFetch {
    pub(super) fn new(source: Arc<dyn TokenSource>) -> Self {
        Self {
            source,
            windows: Windows::default(),
            store: None,
            held: Arc::default(),
        }
    }

    /// Takes over a token from elsewhere.
    pub(super) async fn replace(
        &self,
        token: Token,
        clock: &SharedClock,
    ) -> Result<(Credentials, Life), CredentialError> {
        let held = self.received(token, clock);
        let accepted = self.accept(&held, clock)?;
        if let Some((store, key)) = &self.store {
            let save = Save::new(&held.token, held.obtained_at);
            if let Saved::Stored(revision) = store.save(key, save).await? {
                self.put(Held {
                    revision: Some(revision),
                    saved: true,
                    ..held
                });
            }
        } else {
            self.put(held);
        }
        Ok(accepted)
    }

    /// Whether the store has it under a key of this principal's.
    pub(super) fn is_kept_for(&self, principal: &Principal) -> bool {
        let store = self.store.as_ref();
        store.is_some_and(|(_, key)| key.principal() == principal)
    }

    /// Forgets the token, in the store and here. A fetch that is under way does not bring it back:
    /// it finds that the store holds something else than it expects.
    pub(super) async fn delete(&self) -> Result<(), CredentialError> {
        {
            let mut latest = self.latest();
            latest.held = None;
            latest.replaced += 1;
        }
        if let Some((store, key)) = &self.store {
            store.delete(key).await?;
        }
        self.latest().held = None;
        Ok(())
    }

    async fn fetch_alone(&self, context: FetchContext) -> Result<Fetched, CredentialError> {
        let (previous, begun) = {
            let latest = self.latest();
            (latest.held.clone().map(|held| held.token), latest.replaced)
        };
        let token = self.exchange(previous, context.scopes).await?;
        let held = self.received(token, &context.clock);
        // Held even if it cannot be sent: its refresh token is the only one that still works.
        {
            let mut latest = self.latest();
            if latest.replaced == begun {
                latest.held = Some(held.clone());
            }
        }
        self.fetched(&held, &context.clock, false)
    }

    async fn fetch_shared(
        &self,
        store: &SharedStore,
        key: &TokenKey,
        context: FetchContext,
    ) -> Result<Fetched, CredentialError> {
        let mut poll = POLL;
        let lease = loop {
            let stored = store.load(key).await?;
            if let Some(fetched) = self.adopt(stored.as_ref(), &context) {
                return Ok(fetched);
            }
            let left = context
                .deadline
                .saturating_duration_since(context.clock.now());
            if let Some(lease) = store.lease(key, left + LEASE_MARGIN).await? {
                break lease;
            }
            // The engine's deadline ends this loop.
            let wait = poll.mul_f64(0.5 + fastrand::f64());
            context.clock.sleep_until(context.clock.now() + wait).await;
            poll = (poll * 2).min(POLL_MAX);
        };
        let fetched = self.fetch_leased(store, key, &lease, &context).await;
        if let Err(error) = store.release(key, lease).await {
            tracing::debug!(kind = ?error.kind(), "lease_not_released");
        }
        fetched
    }

    async fn fetch_leased(
        &self,
        store: &SharedStore,
        key: &TokenKey,
        lease: &Lease,
        context: &FetchContext,
    ) -> Result<Fetched, CredentialError> {
        // Whoever had the lease before may have refreshed while we asked for it.
        let stored = store.load(key).await?;
        if let Some(fetched) = self.adopt(stored.as_ref(), context) {
            return Ok(fetched);
        }
        let found = stored.as_ref().map(|stored| stored.revision);
        let unsaved = self.held().filter(|held| !held.saved);
        let held = if let Some(unsaved) = unsaved {
            unsaved
        } else {
            let previous = stored.map(|stored| stored.token);
            let token = match self.exchange(previous, context.scopes.clone()).await {
                Ok(token) => token,
                Err(error) if error.is_transient() => return Err(error),
                // Refused for good: perhaps because somebody without a lease was faster.
                Err(error) => {
                    let now = store.load(key).await?;
                    let changed = now.as_ref().map(|now| now.revision) != found;
                    return match self.adopt(now.as_ref(), context) {
                        Some(fetched) if changed => Ok(fetched),
                        _ => Err(error),
                    };
                }
            };
            let held = Held {
                revision: found,
                ..self.received(token, &context.clock)
            };
            // From here on the old refresh token is worthless: if storing fails or the fetch is cut
            // off, the next one stores this instead of asking again.
            self.hold(held.clone());
            held
        };
        self.save(store, key, lease, held, found, context).await
    }

    async fn save(
        &self,
        store: &SharedStore,
        key: &TokenKey,
        lease: &Lease,
        held: Held,
        found: Option<Revision>,
        context: &FetchContext,
    ) -> Result<Fetched, CredentialError> {
        let expected = found.map_or(Expected::Nothing, Expected::Revision);
        let save = Save::new(&held.token, held.obtained_at)
            .expecting(expected)
            .under(lease);
        let mut tries = 1;
        loop {
            match store.save(key, save).await {
                Ok(Saved::Stored(revision)) => {
                    let held = Held {
                        revision: Some(revision),
                        saved: true,
                        ..held.clone()
                    };
                    self.hold(held.clone());
                    return self.fetched(&held, &context.clock, false);
                }
                Ok(Saved::Conflict) => return self.yield_to(store, key, context).await,
                Err(error) if error.kind() == crate::StoreErrorKind::LeaseLost => {
                    return self.yield_to(store, key, context).await;
                }
                Err(_) if tries < SAVES => {
                    let pause = SAVE_PAUSE * 2_u32.pow(tries - 1);
                    context.clock.sleep_until(context.clock.now() + pause).await;
                    tries += 1;
                }
                Err(error) if held.token.refresh_token().is_some() => return Err(error.into()),
                // Nothing is lost if this one is not stored: the source gives another any time.
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "token_not_stored");
                    return self.fetched(&held, &context.clock, false);
                }
            }
        }
    }

    /// Somebody wrote under the key without our lease: a login or another refresh, whose token is
    /// taken over, or a logout, which is not undone.
    async fn yield_to(
        &self,
        store: &SharedStore,
        key: &TokenKey,
        context: &FetchContext,
    ) -> Result<Fetched, CredentialError> {
        self.latest().held = None;
        match store.load(key).await? {
            Some(stored) => self.adopt(Some(&stored), context).ok_or_else(|| {
                CredentialError::unavailable("the stored token was changed by somebody else")
            }),
            None => Err(CredentialError::needs_authorization(
                AuthorizationRequired::new(),
            )),
        }
    }

    /// The stored token, if it is another than ours and can be sent.
    fn adopt(&self, stored: Option<&StoredToken>, context: &FetchContext) -> Option<Fetched> {
        let stored = stored?;
        let known = self.held().and_then(|held| held.revision);
        if known == Some(stored.revision) {
            return None;
        }
        let held = Held {
            token: stored.token.clone(),
            obtained_at: stored.obtained_at,
            revision: Some(stored.revision),
            saved: true,
        };
        let fetched = self.fetched(&held, &context.clock, true).ok()?;
        if context.refused == Some(fetched.credentials.fingerprint()) {
            return None;
        }
        self.hold(held);
        Some(fetched)
    }

    async fn exchange(
        &self,
        previous: Option<Token>,
        scopes: Vec<String>,
    ) -> Result<Token, CredentialError> {
        let context = TokenContext {
            previous: previous.clone(),
            scopes,
        };
        let token = self.source.token(context).await?;
        Ok(token.keeping_refresh_of(previous))
    }

    fn received(&self, token: Token, clock: &SharedClock) -> Held {
        let obtained_at = clock.wall();
        let token = match &self.store {
            Some(_) => {
                let end = self.windows.calendar_end(token.expiry(), obtained_at);
                token.with_expiry(end)
            }
            None => token,
        };
        Held {
            token,
            obtained_at,
            revision: None,
            saved: false,
        }
    }

    fn fetched(
        &self,
        held: &Held,
        clock: &SharedClock,
        adopted: bool,
    ) -> Result<Fetched, CredentialError> {
        let (credentials, life) = self.accept(held, clock)?;
        Ok(Fetched {
            credentials,
            life,
            adopted,
        })
    }

    /// What goes out on the wire; an error if it has already ended.
    fn accept(
        &self,
        held: &Held,
        clock: &SharedClock,
    ) -> Result<(Credentials, Life), CredentialError> {
        let life = self.windows.life(
            held.token.expiry(),
            Some(held.obtained_at),
            clock.as_ref(),
            fastrand::f64(),
        );
        if life.usable_until.is_some_and(|end| end <= clock.now()) {
            return Err(CredentialError::unavailable(
                "the source gave a token that has already ended",
            ));
        }
        let mut builder = Credentials::builder()
            .authorization(held.token.scheme(), held.token.access().clone())?;
        if let Some(end) = life.expires_at {
            builder = builder.expires_at(end);
        }
        Ok((builder.build()?, life))
    }

    fn hold(&self, held: Held) {
        self.latest().held = Some(held);
    }

    fn put(&self, held: Held) {
        let mut latest = self.latest();
        latest.held = Some(held);
        latest.replaced += 1;
    }

    fn held(&self) -> Option<Held> {
        self.latest().held.clone()
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetch for TokenFetch {
    fn fetch(&self, context: FetchContext) -> FetchFuture<'_> {
        Box::pin(async move {
            match &self.store {
                Some((store, key)) => self.fetch_shared(store, key, context).await,
                None => self.fetch_alone(context).await,
            }
        })
    }
}
