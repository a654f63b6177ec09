//! A refresh that many processes share: look, take the lease, look again, exchange, store, give the
//! lease back; whoever does not get the lease waits for what the other brings.

use std::pin::pin;
use std::time::Duration;

use super::late::Storing;
use super::wait::Wait;
use super::{Held, TokenFetch};
use crate::refresh::engine::{FetchContext, Fetched};
use crate::refresh::flight::race;
use crate::store::{
    Expected, Lease, Revision, Save, Saved, SharedStore, StoreError, StoreErrorKind, StorePolicy,
    StoredToken, TokenKey,
};
use crate::time::Instant;
use crate::{AuthorizationRequired, CredentialError, Token};

/// How much longer than the fetch a lease may live, so that it does not end just before.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// How often to try to store a new token before giving up for now.
const SAVES: u32 = 4;
/// The pause after the first failed try; it doubles.
const SAVE_PAUSE: Duration = Duration::from_millis(100);
/// What came of one try.
enum Try {
    Fetched(Fetched),
    /// Somebody else has the lease.
    Busy,
    /// The lease was lost before anything was done under it.
    Stopped,
    Failed(CredentialError),
    Store(StoreError),
}

/// How far a new token got.
enum Kept {
    As(Revision),
    /// Somebody else's counts; this is what to use.
    Theirs(Fetched),
    /// Nowhere; it is in use, and is stored as soon as that works.
    Late,
}

impl From<CredentialError> for Try {
    fn from(error: CredentialError) -> Self {
        Self::Failed(error)
    }
}

impl From<StoreError> for Try {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl TokenFetch {
    pub(super) async fn fetch_shared(
        &self,
        store: &SharedStore,
        key: &TokenKey,
        context: FetchContext,
    ) -> Result<Fetched, CredentialError> {
        let mut wait = Wait::new(
            context
                .deadline
                .saturating_duration_since(context.clock.now()),
        );
        loop {
            match self
                .attempt(store, key, &context, wait.limit(&context))
                .await
            {
                Try::Fetched(fetched) => return Ok(fetched),
                Try::Failed(error) => return Err(error),
                Try::Busy | Try::Stopped if context.clock.now() >= wait.limit(&context) => {
                    return Err(CredentialError::unavailable(
                        "another process is refreshing the token, and was not done in time",
                    ));
                }
                Try::Busy => wait.for_another(store, key, &context).await,
                Try::Stopped => wait.a_moment(&context).await,
                Try::Store(error) if error.kind() == StoreErrorKind::Unreachable => {
                    if let Some(fetched) = self.unstored(&context) {
                        return Ok(fetched);
                    }
                    if let Some(held) = self.held().filter(|held| self.may_go_alone(held)) {
                        return self.fetch_without(store, key, held, context).await;
                    }
                    if !wait.for_the_store(&context).await {
                        return Err(error.into());
                    }
                }
                Try::Store(error) => return Err(error.into()),
            }
        }
    }

    async fn attempt(
        &self,
        store: &SharedStore,
        key: &TokenKey,
        context: &FetchContext,
        limit: Instant,
    ) -> Try {
        let lease = match self.look(store, key, context, limit).await {
            Ok(lease) => lease,
            Err(done) => return done,
        };
        let done = match self.fetch_leased(store, key, &lease, context).await {
            Ok(fetched) => Try::Fetched(fetched),
            Err(done) => done,
        };
        if let Err(error) = store.release(key, lease).await {
            tracing::debug!(kind = ?error.kind(), "lease_not_released");
        }
        done
    }

    /// The lease, unless what the store has is good or the lease is another's.
    async fn look(
        &self,
        store: &SharedStore,
        key: &TokenKey,
        context: &FetchContext,
        limit: Instant,
    ) -> Result<Lease, Try> {
        let looking = async {
            let stored = store.load(key).await?;
            if !self.is_behind(store, key, context, stored.as_ref()).await?
                && let Some(fetched) = self.adopt(stored.as_ref(), context)
            {
                return Err(Try::Fetched(fetched));
            }
            let left = context
                .deadline
                .saturating_duration_since(context.clock.now());
            let lease = store.lease(key, left + LEASE_MARGIN).await?;
            lease.ok_or(Try::Busy)
        };
        // Nothing is lost by cutting this off; what comes after is cut off by the engine alone.
        let limit = context.clock.sleep_until(limit);
        race(pin!(looking), limit).await.unwrap_or_else(|| {
            Err(Try::Store(StoreError::new(
                StoreErrorKind::Unreachable,
                "the token store did not answer in time",
            )))
        })
    }

    async fn fetch_leased(
        &self,
        store: &SharedStore,
        key: &TokenKey,
        lease: &Lease,
        context: &FetchContext,
    ) -> Result<Fetched, Try> {
        // Whoever had the lease before may have refreshed while we asked for it.
        let stored = store.load(key).await?;
        let behind = self.is_behind(store, key, context, stored.as_ref()).await?;
        if !behind && let Some(fetched) = self.adopt(stored.as_ref(), context) {
            return Ok(fetched);
        }
        let mut found = stored.as_ref().map(|stored| stored.revision);
        let mut previous = stored.map(|stored| stored.token);
        let lacks = |held: &Held| behind || (!held.saved && held.revision == found);
        if let Some(held) = self.held().filter(lacks) {
            // What the store lacks comes first: its refresh token is the one that works.
            match self.save(store, key, lease, &held, found, context).await? {
                Kept::As(revision) => found = Some(revision),
                Kept::Theirs(fetched) => return Ok(fetched),
                Kept::Late => return Ok(self.fetched(&held, &context.clock, false)?),
            }
            let refused = |fetched: &Fetched| {
                behind && context.refused == Some(fetched.credentials.fingerprint())
            };
            let due = |fetched: &Fetched| {
                behind
                    && fetched
                        .life
                        .refresh_at
                        .is_some_and(|at| at <= context.clock.now())
            };
            match self.fetched(&held, &context.clock, false) {
                Ok(fetched) if !refused(&fetched) && !due(&fetched) => return Ok(fetched),
                _ => previous = Some(held.token),
            }
        }
        if !lease.is_held() {
            // Stopped for too long: somebody else may be asking the source by now.
            return Err(Try::Stopped);
        }
        let token = match self.exchange(previous, context.scopes.clone()).await {
            Ok(token) => token,
            Err(error) if error.is_transient() => return Err(error.into()),
            // Refused for good: perhaps because somebody without a lease was faster.
            Err(error) => {
                let now = store.load(key).await?;
                let changed = now.as_ref().map(|now| now.revision) != found;
                return match self.adopt(now.as_ref(), context) {
                    Some(fetched) if changed => Ok(fetched),
                    _ => Err(error.into()),
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
        let storing = Storing::new(self, store, key, &context.clock);
        let kept = self.save(store, key, lease, &held, found, context).await;
        storing.end();
        match kept? {
            Kept::Theirs(fetched) => Ok(fetched),
            Kept::As(_) | Kept::Late => Ok(self.fetched(&held, &context.clock, false)?),
        }
    }

    async fn save(
        &self,
        store: &SharedStore,
        key: &TokenKey,
        lease: &Lease,
        held: &Held,
        found: Option<Revision>,
        context: &FetchContext,
    ) -> Result<Kept, Try> {
        let expected = found.map_or(Expected::Nothing, Expected::Revision);
        let save = Save::new(&held.token, held.obtained_at)
            .expecting(expected)
            .under(lease);
        let mut tries = 1;
        loop {
            match store.save(key, save).await {
                Ok(Saved::Stored(revision)) => {
                    self.hold(Held {
                        revision: Some(revision),
                        saved: true,
                        ..held.clone()
                    });
                    return Ok(Kept::As(revision));
                }
                Ok(Saved::Conflict) => return self.yield_to(store, key, context).await,
                Err(error) if error.kind() == StoreErrorKind::LeaseLost => {
                    return self.yield_to(store, key, context).await;
                }
                Err(_) if tries < SAVES => {
                    let pause = SAVE_PAUSE * 2_u32.pow(tries - 1);
                    context.clock.sleep_until(context.clock.now() + pause).await;
                    tries += 1;
                }
                // Went away while the source was asked: the token is as good as stored later.
                Err(error) if error.kind() == StoreErrorKind::Unreachable => {
                    self.save_late(store, key, &context.clock);
                    return Ok(Kept::Late);
                }
                Err(error) if held.token.refresh_token().is_some() => return Err(error.into()),
                // Nothing is lost if this one is not stored: the source gives another any time.
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "token_not_stored");
                    return Ok(Kept::Late);
                }
            }
        }
    }

    /// Stores what is held and is not stored, without asking the source for anything.
    pub(super) async fn store_held(
        &self,
        store: &SharedStore,
        key: &TokenKey,
        lease: &Lease,
        context: &FetchContext,
    ) -> Result<(), StoreError> {
        let stored = store.load(key).await?;
        let behind = self.is_behind(store, key, context, stored.as_ref()).await?;
        let found = stored.map(|stored| stored.revision);
        let Some(held) = self.held().filter(|held| !held.saved) else {
            return Ok(());
        };
        if behind || held.revision == found {
            // A failure is tried again, and a conflict is seen by the next fetch.
            let _kept = self.save(store, key, lease, &held, found, context).await;
        } else {
            // Somebody else refreshed, or logged in or out: that counts.
            self.latest().held = None;
        }
        Ok(())
    }

    /// Somebody wrote under the key without our lease: a login or another refresh, whose token is
    /// taken over, or a logout, which is not undone.
    async fn yield_to(
        &self,
        store: &SharedStore,
        key: &TokenKey,
        context: &FetchContext,
    ) -> Result<Kept, Try> {
        self.latest().held = None;
        let Some(stored) = store.load(key).await? else {
            let required = AuthorizationRequired::new();
            return Err(CredentialError::needs_authorization(required).into());
        };
        let theirs = self.adopt(Some(&stored), context).ok_or_else(|| {
            CredentialError::unavailable("the stored token was changed by somebody else")
        })?;
        Ok(Kept::Theirs(theirs))
    }

    /// Whether the store has lost the token that is held here, and this one takes its place.
    ///
    /// Where the store has an older one, ours is better in any case. Where it has none, others may
    /// hold a later one than ours: only a token that is still good is likely to be the latest, and a
    /// refresh token that was used already would end the grant for everybody.
    async fn is_behind(
        &self,
        store: &SharedStore,
        key: &TokenKey,
        context: &FetchContext,
        stored: Option<&StoredToken>,
    ) -> Result<bool, StoreError> {
        let found = stored.map(|stored| stored.revision);
        let Some(held) = self.held() else {
            return Ok(false);
        };
        match held.revision {
            Some(known) if found != Some(known) => {
                let fit = found.is_some()
                    || !held.saved
                    || self.policy == StorePolicy::RefreshAlone
                    || self.accept(&held, &context.clock).is_ok();
                Ok(fit && store.has_lost(key, known, found).await?)
            }
            _ => Ok(false),
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

    /// What a fetch that was cut off had received, while it is good.
    fn unstored(&self, context: &FetchContext) -> Option<Fetched> {
        let held = self.held().filter(|held| !held.saved)?;
        let fetched = self.fetched(&held, &context.clock, false).ok()?;
        let due = fetched
            .life
            .refresh_at
            .is_some_and(|at| at <= context.clock.now());
        let refused = context.refused == Some(fetched.credentials.fingerprint());
        (!due && !refused).then_some(fetched)
    }

    fn may_go_alone(&self, held: &Held) -> bool {
        self.policy == StorePolicy::RefreshAlone || !rotates(&held.token)
    }

    /// The next token without the store.
    async fn fetch_without(
        &self,
        store: &SharedStore,
        key: &TokenKey,
        held: Held,
        context: FetchContext,
    ) -> Result<Fetched, CredentialError> {
        let token = self.exchange(Some(held.token), context.scopes).await?;
        let rotates = rotates(&token);
        let next = Held {
            revision: held.revision,
            // Whatever the store has is as good as this, once it is back.
            saved: !rotates,
            ..self.received(token, &context.clock)
        };
        self.hold(next.clone());
        tracing::warn!(server = %key.server(), "token_refreshed_without_its_store");
        if rotates {
            self.save_late(store, key, &context.clock);
        }
        self.fetched(&next, &context.clock, false)
    }
}

/// Whether the next token is had with something that works once.
fn rotates(token: &Token) -> bool {
    token.refresh_token().is_some()
}
