//! Counts what goes through a source.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{CredentialError, MaybeReady, Token, TokenContext, TokenSource};

/// A source around another one that counts how often it is asked, and how often at once. Clones
/// count together.
#[derive(Clone, Debug)]
pub struct Counter<S> {
    source: S,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicUsize,
    running: AtomicUsize,
    peak: AtomicUsize,
}

impl<S> Counter<S> {
    /// Counts what goes through this source.
    pub fn new(source: S) -> Self {
        Self {
            source,
            counts: Arc::default(),
        }
    }

    /// How often the source was asked.
    pub fn calls(&self) -> usize {
        self.counts.calls.load(Ordering::SeqCst)
    }

    /// How many of these ran at once at the most.
    pub fn peak(&self) -> usize {
        self.counts.peak.load(Ordering::SeqCst)
    }
}

impl<S: TokenSource> TokenSource for Counter<S> {
    fn token(&self, context: TokenContext) -> MaybeReady<'_, Result<Token, CredentialError>> {
        let counts = &*self.counts;
        counts.calls.fetch_add(1, Ordering::SeqCst);
        let running = counts.running.fetch_add(1, Ordering::SeqCst) + 1;
        counts.peak.fetch_max(running, Ordering::SeqCst);
        let running = Running(counts);
        MaybeReady::new(async move {
            let _running = running;
            self.source.token(context).await
        })
    }
}

struct Running<'a>(&'a Counts);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
