//! Bearer tokens that do not live long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Issues tokens and knows whose they are. Clones share everything.
#[derive(Clone, Debug)]
pub struct TokenIssuer(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    lifetime: Duration,
    /// Who a token belongs to, and until when.
    tokens: HashMap<String, (String, Instant)>,
    issued: HashMap<String, u32>,
}

/// A token as its issuer gives it.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token. It is a test token and looks like one.
    pub access: String,
    /// How long it lives.
    pub expires_in: Duration,
}

impl TokenIssuer {
    /// An issuer of tokens that live so long.
    pub fn new(lifetime: Duration) -> Self {
        let (tokens, issued) = (HashMap::new(), HashMap::new());
        Self(Arc::new(Mutex::new(State {
            lifetime,
            tokens,
            issued,
        })))
    }

    /// A new token for a user; older ones stay valid until they end.
    pub fn issue(&self, user: &str) -> IssuedToken {
        let mut state = self.state();
        let count = state.issued.entry(user.to_owned()).or_default();
        *count += 1;
        let access = format!("test-token-{user}-{count}");
        let expires_in = state.lifetime;
        let until = Instant::now() + expires_in;
        state
            .tokens
            .insert(access.clone(), (user.to_owned(), until));
        IssuedToken { access, expires_in }
    }

    /// How many tokens a user has been given.
    pub fn issued(&self, user: &str) -> u32 {
        self.state().issued.get(user).copied().unwrap_or(0)
    }

    /// Makes every token of a user worthless at once, whatever lifetime it was given.
    pub fn revoke(&self, user: &str) {
        self.state().tokens.retain(|_, (owner, _)| owner != user);
    }

    pub(super) fn owner(&self, token: &str) -> Option<String> {
        let state = self.state();
        let (owner, until) = state.tokens.get(token)?;
        (Instant::now() < *until).then(|| owner.clone())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
