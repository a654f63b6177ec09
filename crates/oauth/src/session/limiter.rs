//! How often one principal may be asked for more: a server must not turn calls into a stream of
//! consent pages (specification 2026-07-28, authorization, step-up).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mcp_core::auth::time::Instant;

/// Tries for one operation…
const TRIES: usize = 3;
/// …within this time.
const WINDOW: Duration = Duration::from_secs(600);
/// Operations that are remembered.
const OPERATIONS: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<HashMap<String, Vec<Instant>>>);

impl Limiter {
    /// Whether an operation may try once more; counts the try.
    pub(crate) fn take(&self, operation: &str, now: Instant) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= OPERATIONS && !known.contains_key(operation) {
            known.retain(|_, tries| tries.iter().any(|&at| recent(at, now)));
            if known.len() >= OPERATIONS {
                return false;
            }
        }
        let tries = known.entry(operation.to_owned()).or_default();
        tries.retain(|&at| recent(at, now));
        if tries.len() >= TRIES {
            return false;
        }
        tries.push(now);
        true
    }
}

fn recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn three_tries_each_then_a_pause() {
        let limiter = Limiter::default();
        let start = Instant::now();
        for _ in 0..3 {
            assert!(limiter.take("write", start));
        }
        assert!(!limiter.take("write", start));
        assert!(limiter.take("read", start));
        assert!(limiter.take("write", start + WINDOW));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let (limiter, start) = (Limiter::default(), Instant::now());
        for operation in 0..1_000 {
            limiter.take(&operation.to_string(), start);
        }
        assert_eq!(limiter.0.lock().unwrap().len(), OPERATIONS);
        assert!(limiter.take("new", start + WINDOW));
    }
}
