//! One limit over all replicas.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_core::Principal;
use mcp_core::auth::time::Instant;
use mcp_core::replicas::{Grant, PrincipalTag, QuotaError, QuotaRequest, SharedQuota};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::SWEEP_AT;

/// How long a call waits for the carrier's answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(50);

/// How long a carrier that failed is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// Blocks are fetched for so many principals at the same time.
const MOST_FETCHES: usize = 256;

/// What happens to calls while the carrier of a shared limit cannot be asked.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WhenAway {
    /// They are made: each replica keeps to the limit on its own, so that all together let through
    /// up to as many times the limit as there are replicas.
    Allow,
    /// They are denied.
    Deny,
}

/// A limit that all replicas keep together, as [`RateLimit::shared`](super::RateLimit::shared) takes
/// it. All replicas give it the same name and the same numbers.
///
/// # What is exact
/// Calls are counted by the carrier, on its clock. A replica fetches a block of them ahead, a tenth
/// of the limit ([`block`](Self::block)), while it has some still, so that a call finds one and waits
/// for nobody. The first call of a principal at a replica is let through and counted at once
/// afterwards; only calls that come at the same moment as the first wait for the answer. So
///
/// * over time, calls are as many as the limit says: every one is counted, the first ones too;
/// * at once, there may be more than the limit by one call and one block for each replica that the
///   principal comes to: calls fetched a while ago (a block is good for as long as the limit takes to
///   give as many anew) and made now;
/// * and fewer by a block for each: what is fetched and not made is lost.
///
/// [`exact`](Self::exact) has none of that, and every call waits for the carrier.
pub struct SharedLimit {
    name: String,
    quota: Arc<dyn SharedQuota>,
    away: WhenAway,
    exact: bool,
    block: Option<u32>,
    answer_within: Duration,
}

impl SharedLimit {
    /// A limit with the name that it has in all replicas, who counts, and what happens when nobody
    /// does.
    pub fn new(name: impl Into<String>, quota: Arc<dyn SharedQuota>, away: WhenAway) -> Self {
        Self {
            name: name.into(),
            quota,
            away,
            exact: false,
            block: None,
            answer_within: ANSWER_WITHIN,
        }
    }

    /// Asks at every call that is not known to be beyond the limit, and lets through just what the
    /// carrier gives.
    pub fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    /// How many calls are fetched ahead, at least one and at most the limit. Default a tenth of the
    /// limit.
    pub fn block(mut self, calls: u32) -> Self {
        self.block = Some(calls);
        self
    }

    /// How long a call waits for the carrier before it counts as away. Default 50 ms.
    pub fn answer_within(mut self, time: Duration) -> Self {
        self.answer_within = time;
        self
    }
}

impl fmt::Debug for SharedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLimit")
            .field("name", &self.name)
            .field("quota", &self.quota)
            .field("away", &self.away)
            .field("exact", &self.exact)
            .finish_non_exhaustive()
    }
}

/// A shared limit at work. Owns the fetches, which end with it.
#[derive(Debug)]
pub(super) struct Shared {
    counted: Arc<Counted>,
    fetches: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Counted {
    limit: SharedLimit,
    calls: NonZeroU32,
    per: Duration,
    block: u32,
    /// How long a block is good for.
    hold: Duration,
    hands: Mutex<HashMap<Principal, Hand>>,
    sweep_at: AtomicUsize,
    /// The carrier failed last time, and is left alone until then.
    failed: Mutex<Option<Instant>>,
}

/// What a principal may do here without asking.
#[derive(Debug, Default)]
struct Hand {
    calls: u32,
    good_until: Option<Instant>,
    /// Let through and not counted yet.
    owed: u32,
    /// The carrier has said that there is none before.
    none_before: Option<Instant>,
    fetching_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    There,
    /// It failed, and the one who asked this tries again.
    TriedAgain,
    LeftAlone,
}

/// May a call be made?
#[derive(Debug)]
pub(super) enum Verdict {
    Yes,
    /// Not before so long.
    Over(Duration),
    /// Nobody can tell: the own count decides.
    Alone,
    /// Nobody can tell, and nothing goes on without.
    Away,
    /// The carrier has to tell.
    Ask,
}

impl Shared {
    pub(super) fn new(limit: SharedLimit, calls: NonZeroU32, per: Duration) -> Self {
        let most = calls.get();
        let block = limit.block.unwrap_or(most.div_ceil(10)).clamp(1, most);
        let hold = (per / most).saturating_mul(block);
        Self {
            counted: Arc::new(Counted {
                limit,
                calls,
                per,
                block,
                hold: hold.max(Duration::from_millis(100)),
                hands: Mutex::default(),
                sweep_at: AtomicUsize::new(SWEEP_AT),
                failed: Mutex::default(),
            }),
            fetches: Mutex::default(),
        }
    }

    /// What can be told without asking.
    pub(super) fn look(&self, principal: &Principal) -> Verdict {
        let (verdict, owed) = self.counted.look(principal, Instant::now());
        if let Some(owed) = owed {
            self.fetch(principal, owed);
        }
        verdict
    }

    /// What the carrier says.
    pub(super) async fn ask(&self, principal: &Principal) -> Verdict {
        let counted = &*self.counted;
        let grant = counted.take(principal, 1, 0).await;
        let now = Instant::now();
        counted.heard(&grant, now);
        match grant {
            Ok(grant) if grant.calls > 0 => Verdict::Yes,
            Ok(grant) => {
                let none_before = now.checked_add(grant.wait);
                counted.with_hand(principal, now, |hand| hand.none_before = none_before);
                Verdict::Over(grant.wait)
            }
            Err(_) => counted.alone(),
        }
    }

    /// Fetches a block for a principal behind its back.
    fn fetch(&self, principal: &Principal, owed: u32) {
        let (counted, principal) = (Arc::clone(&self.counted), principal.clone());
        let whose = principal.clone();
        let fetch = async move {
            let grant = counted.take(&principal, counted.block, owed).await;
            let now = Instant::now();
            counted.heard(&grant, now);
            counted.with_hand(&principal, now, |hand| {
                hand.fetching_until = None;
                // Lost with the answer at the worst: it must not count against the user for long.
                hand.owed = hand.owed.saturating_sub(owed);
                let Ok(grant) = grant else { return };
                if grant.calls > 0 {
                    hand.calls = hand
                        .calls
                        .saturating_add(grant.calls)
                        .min(counted.block * 2);
                    hand.good_until = now.checked_add(counted.hold);
                } else {
                    hand.none_before = now.checked_add(grant.wait);
                }
            });
        };
        if let Ok(runtime) = Handle::try_current() {
            let mut fetches = self.fetches.lock();
            while fetches.try_join_next().is_some() {}
            if fetches.len() < MOST_FETCHES {
                fetches.spawn_on(fetch, &runtime);
                return;
            }
        }
        // What is owed stays so until somebody can be told.
        let none = |hand: &mut Hand| hand.fetching_until = None;
        self.counted.with_hand(&whose, Instant::now(), none);
    }
}

impl Counted {
    /// The verdict, and what is owed where a block is to be fetched.
    fn look(&self, principal: &Principal, now: Instant) -> (Verdict, Option<u32>) {
        self.with_hand(principal, now, |hand| {
            if hand.good_until.is_none_or(|end| end <= now) {
                hand.calls = 0;
            }
            let known_empty = hand.none_before.filter(|at| now < *at);
            if hand.calls > 0 {
                hand.calls -= 1;
                let few = hand.calls <= self.block / 2 && known_empty.is_none();
                let fetches = few && !hand.is_fetching(now) && self.state(now) != State::LeftAlone;
                return (Verdict::Yes, fetches.then(|| self.begin_fetch(hand, now)));
            }
            if let Some(at) = known_empty {
                return (Verdict::Over(at.saturating_duration_since(now)), None);
            }
            let ahead = !self.limit.exact && !hand.is_fetching(now);
            match self.state(now) {
                State::LeftAlone => (self.alone(), None),
                State::There if ahead && hand.owed == 0 => {
                    hand.owed = 1;
                    (Verdict::Yes, Some(self.begin_fetch(hand, now)))
                }
                // What is made in this time is not counted elsewhere.
                State::TriedAgain if ahead && self.limit.away == WhenAway::Allow => {
                    (Verdict::Alone, Some(self.begin_fetch(hand, now)))
                }
                State::There | State::TriedAgain => (Verdict::Ask, None),
            }
        })
    }

    fn begin_fetch(&self, hand: &mut Hand, now: Instant) -> u32 {
        // Whatever becomes of it, it is not waited for longer.
        hand.fetching_until = now.checked_add(self.limit.answer_within * 2);
        hand.owed
    }

    /// Whether the carrier is there. Of those who come when it is time to try again, one does.
    fn state(&self, now: Instant) -> State {
        let mut failed = self.failed.lock();
        match *failed {
            None => State::There,
            Some(until) if now < until => State::LeftAlone,
            Some(_) => {
                *failed = now.checked_add(LEFT_ALONE);
                State::TriedAgain
            }
        }
    }

    fn alone(&self) -> Verdict {
        match self.limit.away {
            WhenAway::Allow => Verdict::Alone,
            WhenAway::Deny => Verdict::Away,
        }
    }

    async fn take(&self, who: &Principal, wanted: u32, owed: u32) -> Result<Grant, QuotaError> {
        let who = PrincipalTag::of(who);
        let request = QuotaRequest::new(&self.limit.name, who, self.calls, self.per);
        let taking = self.limit.quota.take(request.wanting(wanted).owing(owed));
        let taken = tokio::time::timeout(self.limit.answer_within, taking).await;
        taken.unwrap_or_else(|_| Err(QuotaError::late()))
    }

    /// Remembers whether the carrier is there.
    fn heard(&self, grant: &Result<Grant, QuotaError>, now: Instant) {
        let until = grant
            .as_ref()
            .err()
            .and_then(|_| now.checked_add(LEFT_ALONE));
        let before = std::mem::replace(&mut *self.failed.lock(), until);
        match grant {
            Err(error) if before.is_none() => {
                tracing::warn!(limit = self.limit.name, %error, "shared_limit_away");
            }
            Ok(_) if before.is_some() => {
                tracing::info!(limit = self.limit.name, "shared_limit_back");
            }
            _ => {}
        }
    }

    fn with_hand<T>(
        &self,
        principal: &Principal,
        now: Instant,
        work: impl FnOnce(&mut Hand) -> T,
    ) -> T {
        let mut hands = self.hands.lock();
        if hands.len() >= self.sweep_at.load(Ordering::Relaxed) {
            hands.retain(|_, hand| !hand.is_over(now));
            let kept = hands.len();
            self.sweep_at
                .store((kept * 2).max(SWEEP_AT), Ordering::Relaxed);
        }
        match hands.get_mut(principal) {
            Some(hand) => work(hand),
            None => work(hands.entry(principal.clone()).or_default()),
        }
    }
}

impl Hand {
    /// Whether a new one is as good.
    fn is_over(&self, now: Instant) -> bool {
        let past = |end: Option<Instant>| end.is_none_or(|end| end <= now);
        let empty = self.calls == 0 || past(self.good_until);
        empty && past(self.none_before) && self.owed == 0 && !self.is_fetching(now)
    }

    fn is_fetching(&self, now: Instant) -> bool {
        self.fetching_until.is_some_and(|end| now < end)
    }
}

#[cfg(test)]
mod tests;
