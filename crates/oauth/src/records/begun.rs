//! What was begun here and may never be ended, so that it can be cleared away: not every store
//! forgets by itself.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use mcp_core::auth::TokenKey;

/// Past so many the oldest is cleared away before its end: each user who does not come back leaves
/// an authorization and an account.
const CAPACITY: usize = 20_000;
/// How many are cleared away when another one is begun: more than come.
const CLEARED: usize = 8;

/// Keys by the ends of what is stored there.
#[derive(Debug)]
pub(super) struct Begun {
    queue: Mutex<VecDeque<(SystemTime, TokenKey)>>,
    capacity: usize,
}

impl Default for Begun {
    fn default() -> Self {
        Self::holding(CAPACITY)
    }
}

impl Begun {
    fn holding(capacity: usize) -> Self {
        Self {
            queue: Mutex::default(),
            capacity,
        }
    }

    /// They come in the order of their ends: all live for the same time.
    pub(super) fn add(&self, key: TokenKey, end: SystemTime) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back((end, key));
    }

    /// Takes out some of those that are over, and those that there is no room for.
    pub(super) fn take_over(&self, now: SystemTime) -> Vec<(SystemTime, TokenKey)> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut over = Vec::new();
        while over.len() < CLEARED {
            let is_full = queue.len() > self.capacity;
            match queue.pop_front() {
                Some(first) if is_full || first.0 <= now => over.push(first),
                Some(first) => {
                    queue.push_front(first);
                    break;
                }
                None => break,
            }
        }
        over
    }

    /// Puts one back that could not be cleared away yet.
    pub(super) fn put_back(&self, key: TokenKey, end: SystemTime) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() < self.capacity {
            queue.push_front((end, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mcp_core::auth::{Principal, ServerId};

    use super::*;

    #[test]
    fn what_is_over_or_too_much_is_taken_out_oldest_first() {
        let key = |name: u64| {
            let server = ServerId::new("s").unwrap();
            TokenKey::new(server, Principal::local()).with_issuer(name.to_string())
        };
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let begun = Begun::holding(3);
        let taken = |now| {
            let over = begun.take_over(at(now));
            over.into_iter().map(|(_, key)| key).collect::<Vec<_>>()
        };
        for second in 1..=3 {
            begun.add(key(second), at(second));
        }
        assert_eq!(taken(0), []);
        assert_eq!(taken(1), [key(1)]);
        begun.put_back(key(1), at(1));
        for second in 4..=5 {
            begun.add(key(second), at(second));
        }
        assert_eq!(taken(0), [key(1), key(2)]);
        // There is no room for it.
        begun.put_back(key(2), at(2));
        assert_eq!(taken(5), [key(3), key(4), key(5)]);
    }
}
