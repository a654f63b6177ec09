//! A provider of its own for every user.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use http::HeaderValue;

use crate::time::{Instant, SharedClock, SystemClock};
use crate::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Principal,
    Recovery, Rejection, ServerId, SharedProvider, panics,
};

/// How many users' providers are kept.
const CAPACITY: usize = 10_000;
/// How long a provider that nobody asks is kept.
const IDLE: Duration = Duration::from_secs(3600);

/// Makes a provider for each user of each server when the user first calls, and keeps it while it
/// is used.
///
/// ```
/// use std::time::Duration;
/// use mcp_auth::{PerPrincipal, RefreshingToken, Token};
///
/// # async fn token_for(user: &str) -> Result<Token, mcp_auth::CredentialError> { Ok(Token::new(user)) }
/// let provider = PerPrincipal::new(|_server, principal| {
///     let user = principal.user().to_owned();
///     Ok(RefreshingToken::new(move |_| {
///         let user = user.clone();
///         async move { token_for(&user).await }
///     }))
/// });
/// ```
///
/// At most 10,000 are kept, each until nobody has asked it for an hour and another user comes; both
/// can be changed. One that is dropped and needed again is made anew, so what must survive (a refresh
/// token that rotates) belongs in a [`TokenStore`](crate::TokenStore).
pub struct PerPrincipal {
    make: Box<Make>,
    capacity: usize,
    idle: Duration,
    clock: SharedClock,
    known: RwLock<Known>,
}

type Make = dyn Fn(&ServerId, &Principal) -> Result<SharedProvider, CredentialError> + Send + Sync;

type Key = (ServerId, Principal);

/// A key that is owned or borrowed: the hot path looks up without cloning.
trait Pair {
    fn pair(&self) -> (&ServerId, &Principal);
}

impl Pair for Key {
    fn pair(&self) -> (&ServerId, &Principal) {
        (&self.0, &self.1)
    }
}

impl Pair for (&ServerId, &Principal) {
    fn pair(&self) -> (&ServerId, &Principal) {
        *self
    }
}

impl<'a> Borrow<dyn Pair + 'a> for Key {
    fn borrow(&self) -> &(dyn Pair + 'a) {
        self
    }
}

impl Hash for dyn Pair + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pair().hash(state);
    }
}

impl PartialEq for dyn Pair + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.pair() == other.pair()
    }
}

impl Eq for dyn Pair + '_ {}

struct Entry {
    provider: SharedProvider,
    /// Asked since the last sweep. A flag instead of a time: the hot path reads no clock and, when
    /// it is set already, writes nothing that other cores would have to hear of.
    touched: AtomicBool,
    /// When a sweep last found it touched.
    used: Instant,
}

#[derive(Default)]
struct Known {
    entries: HashMap<Key, Entry>,
    /// When to look for idle ones again.
    sweep_at: Option<Instant>,
}

impl PerPrincipal {
    /// A provider that makes one for each user with this. Nothing is made yet.
    pub fn new<P, F>(make: F) -> Self
    where
        P: CredentialProvider + 'static,
        F: Fn(&ServerId, &Principal) -> Result<P, CredentialError> + Send + Sync + 'static,
    {
        Self {
            make: Box::new(move |server, principal| {
                make(server, principal).map(|provider| Arc::new(provider) as SharedProvider)
            }),
            capacity: CAPACITY,
            idle: IDLE,
            clock: Arc::new(SystemClock),
            known: RwLock::default(),
        }
    }

    /// How many providers are kept at most (default 10,000; at least one).
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity.max(1);
        self
    }

    /// How long a provider is kept that nobody asks (default one hour).
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Where time comes from.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// Forgets a user, on every server, as after a logout.
    pub fn forget(&self, principal: &Principal) {
        let mut known = self.write();
        known.entries.retain(|(_, user), _| user != principal);
    }

    /// How many providers are kept now.
    pub fn len(&self) -> usize {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .entries
            .len()
    }

    /// Whether none is kept now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn provider(&self, request: CredentialRequest<'_>) -> Result<SharedProvider, CredentialError> {
        if let Some(entry) = self
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .entries
            .get(&(request.server, request.principal) as &dyn Pair)
        {
            if !entry.touched.load(Ordering::Relaxed) {
                entry.touched.store(true, Ordering::Relaxed);
            }
            return Ok(Arc::clone(&entry.provider));
        }
        // Made without the lock: it is the application's code. If two make one at once, the first
        // to come back wins and the other's is dropped unused.
        let provider = panics::caught(|| (self.make)(request.server, request.principal))?;
        let key = (request.server.clone(), request.principal.clone());
        let now = self.clock.now();
        let mut known = self.write();
        self.make_room(&mut known, now);
        let entry = known.entries.entry(key).or_insert(Entry {
            provider,
            touched: AtomicBool::new(true),
            used: now,
        });
        Ok(Arc::clone(&entry.provider))
    }

    /// Drops the idle ones from time to time, and when it is full the eighth that was used longest
    /// ago, so that a crowd of new users does not search the whole map each.
    fn make_room(&self, known: &mut Known, now: Instant) {
        let full = known.entries.len() >= self.capacity;
        if !full && known.sweep_at.is_some_and(|at| now < at) {
            return;
        }
        known.sweep_at = now.checked_add(self.idle / 4);
        known.entries.retain(|_, entry| {
            if std::mem::take(entry.touched.get_mut()) {
                entry.used = now;
            }
            now.saturating_duration_since(entry.used) <= self.idle
        });
        if known.entries.len() < self.capacity {
            return;
        }
        let mut uses: Vec<_> = known.entries.values().map(|entry| entry.used).collect();
        let mut spare = (uses.len() / 8).max(1);
        let (_, &mut oldest, _) = uses.select_nth_unstable(spare - 1);
        known.entries.retain(|_, entry| {
            let drop = spare > 0 && entry.used <= oldest;
            spare -= usize::from(drop);
            !drop
        });
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CredentialProvider for PerPrincipal {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let provider = match self.provider(request) {
            Ok(provider) => provider,
            Err(error) => return MaybeReady::ready(Err(error)),
        };
        if let Ok(ready) = provider.credentials(request).now() {
            return MaybeReady::ready(ready);
        }
        MaybeReady::new(async move { provider.credentials(request).await })
    }

    fn rejected<'a>(
        &'a self,
        rejection: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        match self.provider(rejection.request) {
            Ok(provider) => MaybeReady::new(async move { provider.rejected(rejection).await }),
            Err(error) => MaybeReady::ready(Err(error)),
        }
    }

    fn nonce(&self, request: CredentialRequest<'_>, nonce: &HeaderValue) {
        if let Ok(provider) = self.provider(request) {
            provider.nonce(request, nonce);
        }
    }

    /// Forgets the user at this server. The user's provider is told, and made for it if it is not
    /// there: what is kept in a store goes as well.
    fn logged_out<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<(), CredentialError>> {
        let key = (request.server, request.principal);
        let known = self.write().entries.remove(&key as &dyn Pair);
        let provider = match known {
            Some(entry) => Ok(entry.provider),
            None => panics::caught(|| (self.make)(request.server, request.principal)),
        };
        MaybeReady::new(async move { provider?.logged_out(request).await })
    }

    /// Forgets those users at this server. Their providers are told; none is made for it.
    fn logged_out_elsewhere(&self, server: &ServerId, whom: &dyn Fn(&Principal) -> bool) {
        let mut gone = Vec::new();
        self.write().entries.retain(|key, entry| {
            let forgotten = key.0 == *server && whom(&key.1);
            if forgotten {
                gone.push(Arc::clone(&entry.provider));
            }
            !forgotten
        });
        for provider in gone {
            provider.logged_out_elsewhere(server, whom);
        }
    }
}

impl fmt::Debug for PerPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerPrincipal")
            .field("kept", &self.len())
            .field("capacity", &self.capacity)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
