//! The rules that every provider and every store keeps, run against one.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::StatusCode;
use secrecy::ExposeSecret;

use crate::time::{Clock, SystemClock};
use crate::{
    CredentialProvider, CredentialRequest, Credentials, Expected, Expiry, Principal, Recovery,
    Rejection, Save, Saved, ServerId, SharedProvider, StoreErrorKind, Token, TokenKey, TokenStore,
};

/// How many callers ask at once.
const CALLERS: usize = 200;
/// How long each step may take.
const STEP: Duration = Duration::from_secs(60);

/// The rules that were broken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violations(Vec<String>);

impl Violations {
    /// Each broken rule, in words.
    pub fn rules(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Violations {}

/// Runs the rules of [`CredentialProvider`] against a provider that can give credentials: asks it,
/// refuses what it gave, from 200 tasks at once, cancels callers and prints it.
///
/// It must be able to answer for user `alice` and server `conformance`. A provider that gives the
/// same credentials after a rejection keeps the rules if it says [`Recovery::GiveUp`].
///
/// # Errors
/// The rules that it breaks.
pub async fn check_provider(provider: SharedProvider) -> Result<(), Violations> {
    let mut check = Check::default();
    let Some(first) = check.asks(&provider).await else {
        return check.end();
    };
    check.shows_nothing(&provider, &first);
    check.cancelled_callers(&provider).await;
    check.forbidden(&provider, &first).await;
    check.refused(&provider).await;
    check.end()
}

#[derive(Default)]
struct Check(Vec<String>);

impl Check {
    async fn asks(&mut self, provider: &SharedProvider) -> Option<Credentials> {
        let answers = self.crowd(|| {
            let provider = Arc::clone(provider);
            async move { ask(&provider).await }
        });
        let answers: Vec<_> = answers.await.into_iter().flatten().collect();
        let first = answers.first()?.clone();
        if answers.len() < CALLERS {
            self.broken("every one of many callers gets credentials");
        }
        if answers.iter().any(|answer| *answer != first) {
            self.broken("callers of one principal get the same credentials at one time");
        }
        let ended = |end| end <= SystemClock.now();
        if first.expires_at().is_some_and(ended) {
            self.broken("credentials that have ended are not given");
        }
        Some(first)
    }

    fn shows_nothing(&mut self, provider: &SharedProvider, credentials: &Credentials) {
        let shown = format!("{provider:?} {provider:#?} {credentials:?}");
        for (name, value) in credentials.headers() {
            let value = value.to_str().unwrap_or_default();
            let secret = value.rsplit(' ').next().unwrap_or(value);
            if secret.len() > 3 && shown.contains(secret) {
                self.broken(&format!("Debug does not show the value of `{name}`"));
            }
            if !credentials.headers().iter().all(|(_, v)| v.is_sensitive()) {
                self.broken("header values are marked sensitive");
            }
        }
    }

    async fn cancelled_callers(&mut self, provider: &SharedProvider) {
        for _ in 0..CALLERS {
            let provider = Arc::clone(provider);
            let task = tokio::spawn(async move { ask(&provider).await });
            tokio::task::yield_now().await;
            task.abort();
        }
        if self.step(ask(provider)).await.flatten().is_none() {
            self.broken("callers that are cancelled leave the provider usable");
        }
    }

    async fn forbidden(&mut self, provider: &SharedProvider, first: &Credentials) {
        let recovery = self
            .step(refuse(provider, first, StatusCode::FORBIDDEN))
            .await;
        if recovery.flatten() == Some(Recovery::Retry)
            && self.step(ask(provider)).await.flatten().as_ref() == Some(first)
        {
            self.broken("403 without a challenge is not retried with the same credentials");
        }
    }

    async fn refused(&mut self, provider: &SharedProvider) {
        let Some(refused) = self.step(ask(provider)).await.flatten() else {
            return;
        };
        let recoveries = self.crowd(|| {
            let (provider, refused) = (Arc::clone(provider), refused.clone());
            async move { refuse(&provider, &refused, StatusCode::UNAUTHORIZED).await }
        });
        let recoveries: Vec<_> = recoveries.await.into_iter().flatten().collect();
        if !recoveries.contains(&Recovery::Retry) {
            return;
        }
        if recoveries
            .iter()
            .any(|recovery| *recovery != Recovery::Retry)
        {
            self.broken("all callers whose credentials were refused hear the same");
        }
        let Some(fresh) = self.step(ask(provider)).await.flatten() else {
            self.broken("after `Retry` there are credentials");
            return;
        };
        if fresh == refused {
            self.broken("`Retry` is said only when there are other credentials");
        }
        // A late rejection of the old credentials says nothing about the new ones.
        let late = refuse(provider, &refused, StatusCode::UNAUTHORIZED);
        if self.step(late).await.flatten() != Some(Recovery::Retry) {
            self.broken("a late rejection of old credentials is answered `Retry`");
        }
        if self.step(ask(provider)).await.flatten().as_ref() != Some(&fresh) {
            self.broken("a late rejection of old credentials leaves the new ones in use");
        }
    }

    /// Runs many at once; `None` for those that fail.
    async fn crowd<T, F>(&mut self, make: impl Fn() -> F) -> Vec<Option<T>>
    where
        T: Send + 'static,
        F: Future<Output = Option<T>> + Send + 'static,
    {
        let tasks: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(make())).collect();
        let mut found = Vec::new();
        for task in tasks {
            let Ok(joined) = tokio::time::timeout(STEP, task).await else {
                self.broken("every answer comes within a minute");
                break;
            };
            found.push(joined.ok().flatten());
        }
        found
    }

    async fn step<T>(&mut self, step: impl Future<Output = T>) -> Option<T> {
        let done = tokio::time::timeout(STEP, step).await.ok();
        if done.is_none() {
            self.broken("every answer comes within a minute");
        }
        done
    }

    fn broken(&mut self, rule: &str) {
        if !self.0.iter().any(|known| known == rule) {
            self.0.push(rule.to_owned());
        }
    }

    fn end(mut self) -> Result<(), Violations> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.0.sort();
        Err(Violations(self.0))
    }
}

async fn ask(provider: &SharedProvider) -> Option<Credentials> {
    let (server, alice) = ids()?;
    let request = CredentialRequest::new(&server, &alice);
    provider.credentials(request).await.ok()
}

async fn refuse(
    provider: &SharedProvider,
    credentials: &Credentials,
    status: StatusCode,
) -> Option<Recovery> {
    let (server, alice) = ids()?;
    let request = CredentialRequest::new(&server, &alice);
    let rejection = Rejection::new(request, credentials, status);
    provider.rejected(rejection).await.ok()
}

fn ids() -> Option<(ServerId, Principal)> {
    Some((
        ServerId::new("conformance").ok()?,
        Principal::new("alice").ok()?,
    ))
}

/// Runs the rules of [`TokenStore`] against a store that is empty under server `conformance`.
///
/// # Errors
/// The rules that it breaks.
pub async fn check_store(store: Arc<dyn TokenStore>) -> Result<(), Violations> {
    let mut check = Check::default();
    if check.keeps(&*store).await.is_none() {
        check.broken("a store that is empty and works does not fail");
    }
    if check.leases(&*store).await.is_none() {
        check.broken("leases of a store that works do not fail");
    }
    check.end()
}

impl Check {
    async fn keeps(&mut self, store: &dyn TokenStore) -> Option<()> {
        let (server, alice) = ids()?;
        let key = TokenKey::new(server, alice);
        let other = key.clone().with_issuer("https://other.test");
        let end = UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        let obtained = UNIX_EPOCH + Duration::from_secs(3_999_990_000);
        let token = |name: &str| {
            Token::new(format!("test-{name}"))
                .with_refresh_token(format!("test-refresh-{name}"))
                .with_expiry(Expiry::At(end))
                .with_scopes(["read"])
                .with_extra("key", "test-extra")
        };
        if store.load(&key).await.ok()?.is_some() {
            self.broken("an empty store has no token");
        }
        let one = token("one");
        let save = Save::new(&one, obtained).expecting(Expected::Nothing);
        let Saved::Stored(first) = store.save(&key, save).await.ok()? else {
            self.broken("a first token is stored where nothing is expected");
            return Some(());
        };
        let found = store.load(&key).await.ok()??;
        let is_whole = found.token.access().expose_secret() == one.access().expose_secret()
            && found.token.refresh_token().map(ExposeSecret::expose_secret)
                == Some("test-refresh-one")
            && found.token.expiry() == Expiry::At(end)
            && found.token.scopes() == one.scopes()
            && found.token.extra("key").map(ExposeSecret::expose_secret) == Some("test-extra")
            && found.obtained_at == obtained
            && found.revision == first;
        if !is_whole {
            self.broken("what is loaded is what was saved");
        }
        if store.load(&other).await.ok()?.is_some() {
            self.broken("a token of one issuer is not loaded for another");
        }
        let two = token("two");
        if store.save(&key, save).await.ok()? != Saved::Conflict {
            self.broken("a save that expects nothing is refused where there is a token");
        }
        let swap = Save::new(&two, obtained).expecting(Expected::Revision(first));
        let Saved::Stored(second) = store.save(&key, swap).await.ok()? else {
            self.broken("a save that expects the present revision is made");
            return Some(());
        };
        if store.save(&key, swap).await.ok()? != Saved::Conflict {
            self.broken("a save that expects an old revision is refused");
        }
        if !store.delete(&key).await.ok()? || store.load(&key).await.ok()?.is_some() {
            self.broken("a deleted token is gone");
        }
        if store.delete(&key).await.ok()? {
            self.broken("deleting nothing says so");
        }
        let Saved::Stored(third) = store.save(&key, save).await.ok()? else {
            return Some(());
        };
        if third == first || third == second {
            self.broken("a revision is not used again after a deletion");
        }
        store.delete(&key).await.ok()?;
        Some(())
    }

    async fn leases(&mut self, store: &dyn TokenStore) -> Option<()> {
        let (server, alice) = ids()?;
        let key = TokenKey::new(server, alice);
        let life = Duration::from_secs(60);
        let first = store.lease(&key, life).await.ok()??;
        if store.lease(&key, life).await.ok()?.is_some() {
            self.broken("a lease is given to one at a time");
        }
        let other = key.clone().with_issuer("https://other.test");
        if let Some(lease) = store.lease(&other, life).await.ok()? {
            store.release(&other, lease).await.ok()?;
        } else {
            self.broken("a lease of one key does not hold up another");
        }
        let fence = first.fence();
        store.release(&key, first).await.ok()?;
        // A life of nothing is over at once: it stands for a holder that hangs.
        let Some(hung) = store.lease(&key, Duration::ZERO).await.ok()? else {
            self.broken("a released lease is given again");
            return Some(());
        };
        if hung.fence() <= fence {
            self.broken("fences grow");
        }
        let Some(next) = store.lease(&key, life).await.ok()? else {
            self.broken("a lease whose life is over is given to the next who asks");
            return Some(());
        };
        let token = Token::new("test-late").with_expiry(Expiry::Never);
        let late = Save::new(&token, UNIX_EPOCH).under(&hung);
        match store.save(&key, late).await {
            Err(error) if error.kind() == StoreErrorKind::LeaseLost => {}
            _ => self.broken("a save under a lost lease is refused"),
        }
        let good = Save::new(&token, UNIX_EPOCH).under(&next);
        if !matches!(store.save(&key, good).await, Ok(Saved::Stored(_))) {
            self.broken("a save under the latest lease is made");
        }
        store.release(&key, hung).await.ok()?;
        if store.lease(&key, life).await.ok()?.is_some() {
            self.broken("a lost lease that is released leaves the present one alone");
        }
        store.release(&key, next).await.ok()?;
        store.delete(&key).await.ok()?;
        Some(())
    }
}
