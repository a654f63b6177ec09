//! An issuer whose refresh tokens work once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::ExposeSecret;

use crate::{AuthorizationRequired, CredentialError, MaybeReady, Token, TokenContext, TokenSource};

/// An issuer that rotates: each refresh token buys one token and the next refresh token. One that
/// is used again ends the grant, as RFC 9700 (section 4.14.2) tells issuers to do. Clones are one
/// issuer.
#[derive(Clone, Debug)]
pub struct RotatingIssuer {
    inner: Arc<Mutex<Inner>>,
    lifetime: Duration,
    delay: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    /// The number in the refresh token that works; the first token is had without one.
    current: u64,
    reused: usize,
}

impl RotatingIssuer {
    /// An issuer of tokens that live so long.
    pub fn new(lifetime: Duration) -> Self {
        Self {
            inner: Arc::default(),
            lifetime,
            delay: Duration::ZERO,
        }
    }

    /// Takes this long before the old refresh token is used up, and as long again before the answer
    /// is there (tokio's time).
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How many tokens it gave.
    pub fn issued(&self) -> u64 {
        self.lock().current
    }

    /// How often a refresh token was used that was used up.
    pub fn reused(&self) -> usize {
        self.lock().reused
    }

    /// Whether a token is the latest it gave.
    pub fn is_latest(&self, access: &str) -> bool {
        access == format!("test-access-{}", self.issued())
    }

    fn exchange(&self, context: &TokenContext) -> Result<Token, CredentialError> {
        let mut inner = self.lock();
        let shown = context.previous.as_ref().and_then(Token::refresh_token);
        let expected = format!("test-refresh-{}", inner.current);
        let good = match shown {
            Some(shown) => shown.expose_secret() == expected,
            None => inner.current == 0,
        };
        if !good {
            inner.reused += 1;
            return Err(CredentialError::needs_authorization(
                AuthorizationRequired::new(),
            ));
        }
        inner.current += 1;
        let number = inner.current;
        Ok(Token::new(format!("test-access-{number}"))
            .with_refresh_token(format!("test-refresh-{number}"))
            .expires_in(self.lifetime))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenSource for RotatingIssuer {
    fn token(&self, context: TokenContext) -> MaybeReady<'_, Result<Token, CredentialError>> {
        MaybeReady::new(async move {
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            let token = self.exchange(&context);
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            token
        })
    }
}
