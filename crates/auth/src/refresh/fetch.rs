//! One refresh of a token: asked of the source alone, or as a transaction that a store's processes
//! share.

mod late;
mod shared;
mod wait;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::engine::{Fetch, FetchContext, FetchFuture, Fetched};
use super::windows::{Life, Windows};
use crate::store::{Revision, Save, Saved, SharedStore, StorePolicy, TokenKey};
use crate::time::{Instant, SharedClock};
use crate::{CredentialError, Credentials, Principal, Token, TokenContext, TokenSource};

#[derive(Clone)]
pub(super) struct TokenFetch {
    source: Arc<dyn TokenSource>,
    pub(super) windows: Windows,
    pub(super) store: Option<(SharedStore, TokenKey)>,
    pub(super) policy: StorePolicy,
    /// The last token, whose refresh token buys the next.
    held: Arc<Mutex<Latest>>,
}

#[derive(Default)]
struct Latest {
    held: Option<Held>,
    /// How often somebody put in another token: a fetch that began before does not overwrite it.
    replaced: u64,
    /// Somebody is storing what could not be stored at once, and tries it until then.
    saving: Option<Instant>,
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
            policy: StorePolicy::default(),
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
    pub(super) fn is_kept_for(&self, whom: &dyn Fn(&Principal) -> bool) -> bool {
        let store = self.store.as_ref();
        store.is_some_and(|(_, key)| whom(key.principal()))
    }

    /// Forgets the token here. A fetch that is under way does not bring it back, as for
    /// [`delete`](Self::delete).
    pub(super) fn forget(&self) {
        let mut latest = self.latest();
        latest.held = None;
        latest.replaced += 1;
    }

    /// Forgets the token, in the store and here. A fetch that is under way does not bring it back:
    /// it finds that the store holds something else than it expects.
    pub(super) async fn delete(&self) -> Result<(), CredentialError> {
        self.forget();
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
