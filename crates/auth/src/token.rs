//! A token as its source gives it, and the source.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::{ExposeSecret as _, SecretString};

use crate::{CredentialError, MaybeReady};

/// The extra that holds the authentication scheme.
const SCHEME: &str = "scheme";

/// The extra that says when the refresh token ends, in seconds since 1970.
const REFRESH_END: &str = "refresh_end";

/// An access token with what its issuer said of it. Cloning copies a pointer.
#[derive(Clone)]
pub struct Token(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    access: SecretString,
    refresh: Option<SecretString>,
    expiry: Expiry,
    scopes: Option<Vec<String>>,
    extras: BTreeMap<String, SecretString>,
}

/// When a token ends, as its source said it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Expiry {
    /// The source did not say. This is not "never": whoever holds the token assumes a lifetime.
    #[default]
    Unknown,
    /// So long after it was received.
    In(Duration),
    /// At a point of calendar time, as a stored token or a JWT's `exp` says it.
    At(SystemTime),
    /// The source vouches that it does not end.
    Never,
}

impl Token {
    /// A token whose end is not known.
    pub fn new(access: impl Into<SecretString>) -> Self {
        Self(Arc::new(Inner {
            access: access.into(),
            refresh: None,
            expiry: Expiry::Unknown,
            scopes: None,
            extras: BTreeMap::new(),
        }))
    }

    /// Sets when it ends, counted from when it was received.
    pub fn expires_in(self, lifetime: Duration) -> Self {
        self.with_expiry(Expiry::In(lifetime))
    }

    /// Sets when it ends.
    pub fn with_expiry(self, expiry: Expiry) -> Self {
        self.change(|inner| inner.expiry = expiry)
    }

    /// Adds the refresh token that the next one is had with.
    pub fn with_refresh_token(self, refresh: impl Into<SecretString>) -> Self {
        self.change(|inner| inner.refresh = Some(refresh.into()))
    }

    /// Sets the scopes that were granted.
    pub fn with_scopes(self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.change(|inner| inner.scopes = Some(scopes.into_iter().map(Into::into).collect()))
    }

    /// Keeps something beside the token, such as the key it is bound to; stores keep it too.
    pub fn with_extra(self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.change(|inner| {
            inner.extras.insert(name.into(), value.into());
        })
    }

    /// Sets the authentication scheme that the token is sent with in place of `Bearer`, such as
    /// `DPoP` (RFC 9449, section 7.1). Stores keep it with the extras.
    pub fn with_scheme(self, scheme: impl Into<String>) -> Self {
        self.with_extra(SCHEME, scheme.into())
    }

    /// Sets when the refresh token ends, where its issuer says so: a store need not keep it longer.
    /// Stores keep it with the extras.
    pub fn with_refresh_end(self, end: SystemTime) -> Self {
        let since = end.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.with_extra(REFRESH_END, since.as_secs().to_string())
    }

    /// When the refresh token ends, as far as is known.
    pub fn refresh_end(&self) -> Option<SystemTime> {
        let seconds = self.extra(REFRESH_END)?.expose_secret().parse().ok()?;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// The authentication scheme that the token is sent with.
    pub fn scheme(&self) -> &str {
        self.extra(SCHEME)
            .map_or("Bearer", |scheme| scheme.expose_secret())
    }

    /// The access token.
    pub fn access(&self) -> &SecretString {
        &self.0.access
    }

    /// The refresh token, if one was given.
    pub fn refresh_token(&self) -> Option<&SecretString> {
        self.0.refresh.as_ref()
    }

    /// When it ends, as its source said it.
    pub fn expiry(&self) -> Expiry {
        self.0.expiry
    }

    /// The scopes that were granted, if the source said so.
    pub fn scopes(&self) -> Option<&[String]> {
        self.0.scopes.as_deref()
    }

    /// Something that is kept beside the token.
    pub fn extra(&self, name: &str) -> Option<&SecretString> {
        self.0.extras.get(name)
    }

    /// All that is kept beside the token, by name.
    pub fn extras(&self) -> impl Iterator<Item = (&str, &SecretString)> {
        let extras = self.0.extras.iter();
        extras.map(|(name, value)| (name.as_str(), value))
    }

    /// Keeps the refresh token of the token before when the new one came without: the server means
    /// "use it again" (RFC 6749, section 6).
    pub(crate) fn keeping_refresh_of(self, previous: Option<Self>) -> Self {
        let Some(previous) = previous.filter(|_| self.0.refresh.is_none()) else {
            return self;
        };
        let Some(refresh) = &previous.0.refresh else {
            return self;
        };
        let kept = self.with_refresh_token(refresh.clone());
        match previous.extra(REFRESH_END) {
            Some(end) if kept.extra(REFRESH_END).is_none() => {
                kept.with_extra(REFRESH_END, end.clone())
            }
            _ => kept,
        }
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("access", &"[redacted]")
            .field("refresh", &self.0.refresh.as_ref().map(|_| "[redacted]"))
            .field("expiry", &self.0.expiry)
            .field("scopes", &self.0.scopes)
            .field("extras", &self.0.extras.keys())
            .finish()
    }
}

/// Where tokens come from: one method, asked for a new token every time, never caching.
///
/// Any `Fn(TokenContext) -> impl Future<Output = Result<Token, CredentialError>>` is a source:
///
/// ```
/// use std::time::Duration;
/// use mcp_auth::{Token, TokenContext, TokenSource};
///
/// let source = |_: TokenContext| async {
///     Ok(Token::new("test-token").expires_in(Duration::from_secs(300)))
/// };
/// # fn takes(_: impl TokenSource) {} takes(source);
/// ```
pub trait TokenSource: Send + Sync {
    /// Fetches a new token.
    ///
    /// Runs in a task of its own that callers cannot cancel, under a deadline.
    ///
    /// # Errors
    /// [`CredentialError::unavailable`] when trying again may help,
    /// [`CredentialError::needs_authorization`] when the grant is gone.
    fn token(&self, context: TokenContext) -> MaybeReady<'_, Result<Token, CredentialError>>;
}

impl<F, T> TokenSource for F
where
    F: Fn(TokenContext) -> T + Send + Sync,
    T: Future<Output = Result<Token, CredentialError>> + Send + 'static,
{
    fn token(&self, context: TokenContext) -> MaybeReady<'_, Result<Token, CredentialError>> {
        MaybeReady::new(self(context))
    }
}

/// What a source may want to know when it makes the next token.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TokenContext {
    /// The token before, with its refresh token; `None` the first time.
    pub previous: Option<Token>,
    /// Scopes that a challenge asked for beyond those the token before has.
    pub scopes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_that_is_kept_keeps_its_end() {
        let end = UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        let first = Token::new("test-one")
            .with_refresh_token("test-refresh")
            .with_refresh_end(end);
        assert_eq!(first.refresh_end(), Some(end));
        let kept = Token::new("test-two").keeping_refresh_of(Some(first.clone()));
        assert_eq!(kept.refresh_end(), Some(end));
        // Another refresh token has an end of its own.
        let next = Token::new("test-three").with_refresh_token("test-next");
        assert_eq!(next.keeping_refresh_of(Some(first)).refresh_end(), None);
        let odd = Token::new("test").with_extra(REFRESH_END, "canary");
        assert_eq!(odd.refresh_end(), None);
    }
}
