//! A source that does as it is told.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{CredentialError, MaybeReady, Token, TokenContext, TokenSource};

/// One answer of a [`ScriptedSource`].
#[derive(Clone)]
#[non_exhaustive]
pub enum Step {
    /// Gives this token.
    Token(Token),
    /// Fails.
    Fail(CredentialError),
    /// Never answers.
    Hang,
    /// Panics with this message.
    Panic(String),
}

/// A source that gives the answers of its script in order, and after the last one numbered tokens,
/// `test-token-1` and so on, that live for an hour. Clones are one source.
#[derive(Clone, Default)]
pub struct ScriptedSource {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    script: VecDeque<Step>,
    delay: Duration,
    contexts: Vec<TokenContext>,
    numbered: usize,
}

impl ScriptedSource {
    /// A source of numbered tokens.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an answer.
    pub fn then(self, step: Step) -> Self {
        self.push(step);
        self
    }

    /// Adds a token that lives so long.
    pub fn then_token(self, token: &str, lifetime: Duration) -> Self {
        self.then(Step::Token(Token::new(token).expires_in(lifetime)))
    }

    /// Adds a failure.
    pub fn then_fail(self, error: CredentialError) -> Self {
        self.then(Step::Fail(error))
    }

    /// Adds an answer while the source is in use.
    pub fn push(&self, step: Step) {
        self.lock().script.push_back(step);
    }

    /// Takes this long for every answer (tokio's time).
    pub fn with_delay(self, delay: Duration) -> Self {
        self.lock().delay = delay;
        self
    }

    /// How often it was asked.
    pub fn calls(&self) -> usize {
        self.lock().contexts.len()
    }

    /// With what it was asked, in order.
    pub fn contexts(&self) -> Vec<TokenContext> {
        self.lock().contexts.clone()
    }

    fn next(&self, context: TokenContext) -> (Duration, Step) {
        let mut inner = self.lock();
        inner.contexts.push(context);
        let step = inner.script.pop_front().unwrap_or_else(|| {
            inner.numbered += 1;
            let token = Token::new(format!("test-token-{}", inner.numbered));
            Step::Token(token.expires_in(Duration::from_secs(3600)))
        });
        (inner.delay, step)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenSource for ScriptedSource {
    fn token(&self, context: TokenContext) -> MaybeReady<'_, Result<Token, CredentialError>> {
        let (delay, step) = self.next(context);
        MaybeReady::new(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            match step {
                Step::Token(token) => Ok(token),
                Step::Fail(error) => Err(error),
                Step::Hang => std::future::pending().await,
                #[expect(clippy::panic, reason = "it is what the step says")]
                Step::Panic(message) => panic!("{message}"),
            }
        })
    }
}

impl fmt::Debug for ScriptedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("ScriptedSource")
            .field("left", &inner.script.len())
            .field("calls", &inner.contexts.len())
            .finish()
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::Fail(_) => "Fail",
            Self::Hang => "Hang",
            Self::Panic(_) => "Panic",
        })
    }
}
