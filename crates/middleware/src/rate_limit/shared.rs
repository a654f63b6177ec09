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

/// How long an errand may take that no call waits for: a connection may have to be made.
const IN_THE_BACKGROUND: Duration = Duration::from_secs(2);

/// How long a carrier that has just been tried is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// So many errands are run at the same time.
const MOST_ERRANDS: usize = 256;

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

    /// How long a call waits for the carrier, which counts as away then. Default 50 ms. Whether it is
    /// back is found out in the background, once a second; no call waits for that.
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

/// A shared limit at work. Owns the errands, which end with it.
#[derive(Debug)]
pub(super) struct Shared {
    counted: Arc<Counted>,
    errands: Mutex<JoinSet<()>>,
}

/// What is done behind the back of calls.
#[derive(Clone, Copy, Debug)]
enum Errand {
    /// Fetches a block, and tells of calls that were not counted.
    Fetch { owed: u32 },
    /// Finds out whether the carrier is there.
    Probe,
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
    /// The carrier failed last time; from then on somebody may try again.
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
            errands: Mutex::default(),
        }
    }

    /// What can be told without asking.
    pub(super) fn look(&self, principal: &Principal) -> Verdict {
        let (verdict, errand) = self.counted.look(principal, Instant::now());
        if let Some(errand) = errand {
            self.run(principal, errand);
        }
        verdict
    }

    /// What the carrier says.
    pub(super) async fn ask(&self, principal: &Principal) -> Verdict {
        let counted = &*self.counted;
        let within = counted.limit.answer_within;
        let grant = counted.take(principal, 1, 0, within).await;
        let now = Instant::now();
        match grant {
            Ok(grant) if grant.calls > 0 => Verdict::Yes,
            Ok(grant) => {
                let none_before = now.checked_add(grant.wait);
                counted.with_hand(principal, now, |hand| hand.none_before = none_before);
                Verdict::Over(grant.wait)
            }
            Err(error) => {
                counted.is_away(&error, now);
                if counted.may_try(now) == Some(true) {
                    self.run(principal, Errand::Probe);
                }
                counted.alone()
            }
        }
    }

    fn run(&self, principal: &Principal, errand: Errand) {
        let (counted, whose) = (Arc::clone(&self.counted), principal.clone());
        let work = async move {
            match errand {
                Errand::Fetch { owed } => counted.fetch(&whose, owed).await,
                Errand::Probe => counted.probe(&whose).await,
            }
        };
        if let Ok(runtime) = Handle::try_current() {
            let mut errands = self.errands.lock();
            while errands.try_join_next().is_some() {}
            if errands.len() < MOST_ERRANDS {
                errands.spawn_on(work, &runtime);
                return;
            }
        }
        // What is owed stays so until somebody can be told.
        let none = |hand: &mut Hand| hand.fetching_until = None;
        self.counted.with_hand(principal, Instant::now(), none);
    }
}

impl Counted {
    /// The verdict, and what is to be done besides.
    fn look(&self, principal: &Principal, now: Instant) -> (Verdict, Option<Errand>) {
        self.with_hand(principal, now, |hand| {
            if hand.good_until.is_none_or(|end| end <= now) {
                hand.calls = 0;
            }
            let known_empty = hand.none_before.filter(|at| now < *at);
            if hand.calls > 0 {
                hand.calls -= 1;
                let few = hand.calls <= self.block / 2 && known_empty.is_none();
                let fetches = few && !hand.is_fetching(now) && self.failed.lock().is_none();
                return (Verdict::Yes, fetches.then(|| begin_fetch(hand, now)));
            }
            if let Some(at) = known_empty {
                return (Verdict::Over(at.saturating_duration_since(now)), None);
            }
            if let Some(try_again) = self.may_try(now) {
                return (self.alone(), try_again.then_some(Errand::Probe));
            }
            if !self.limit.exact && !hand.is_fetching(now) && hand.owed == 0 {
                hand.owed = 1;
                return (Verdict::Yes, Some(begin_fetch(hand, now)));
            }
            (Verdict::Ask, None)
        })
    }

    async fn fetch(&self, principal: &Principal, owed: u32) {
        let within = IN_THE_BACKGROUND;
        let grant = self.take(principal, self.block, owed, within).await;
        let now = Instant::now();
        if let Err(error) = &grant {
            self.is_away(error, now);
        }
        self.with_hand(principal, now, |hand| {
            hand.fetching_until = None;
            // Perhaps lost with the answer, which is better than counted twice.
            hand.owed = hand.owed.saturating_sub(owed);
            match grant {
                Ok(grant) if grant.calls > 0 => {
                    hand.calls = hand.calls.saturating_add(grant.calls).min(self.block * 2);
                    hand.good_until = now.checked_add(self.hold);
                }
                Ok(grant) => hand.none_before = now.checked_add(grant.wait),
                Err(_) => {}
            }
        });
    }

    async fn probe(&self, principal: &Principal) {
        let began = Instant::now();
        let answer = self.take(principal, 0, 0, IN_THE_BACKGROUND).await;
        let now = Instant::now();
        let soon = now.saturating_duration_since(began) <= self.limit.answer_within;
        match answer {
            Ok(_) if soon => {
                *self.failed.lock() = None;
                tracing::info!(limit = self.limit.name, "shared_limit_back");
            }
            // It may have been a matter of connecting: the next one will tell.
            Ok(_) => *self.failed.lock() = Some(now),
            Err(_) => {}
        }
    }

    fn is_away(&self, error: &QuotaError, now: Instant) {
        let mut failed = self.failed.lock();
        if failed.is_none() {
            *failed = Some(now);
            tracing::warn!(limit = self.limit.name, %error, "shared_limit_away");
        }
    }

    /// Whether the carrier failed, and then whether the one who asks this is to try again.
    fn may_try(&self, now: Instant) -> Option<bool> {
        let mut failed = self.failed.lock();
        let due = (*failed)? <= now;
        if due {
            *failed = now.checked_add(LEFT_ALONE);
        }
        Some(due)
    }

    fn alone(&self) -> Verdict {
        match self.limit.away {
            WhenAway::Allow => Verdict::Alone,
            WhenAway::Deny => Verdict::Away,
        }
    }

    async fn take(
        &self,
        who: &Principal,
        wanted: u32,
        owed: u32,
        within: Duration,
    ) -> Result<Grant, QuotaError> {
        let who = PrincipalTag::of(who);
        let request = QuotaRequest::new(&self.limit.name, who, self.calls, self.per);
        let taking = self.limit.quota.take(request.wanting(wanted).owing(owed));
        let taken = tokio::time::timeout(within, taking).await;
        taken.unwrap_or_else(|_| Err(QuotaError::late()))
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

/// Whatever becomes of it, it is not waited for longer than it may take.
fn begin_fetch(hand: &mut Hand, now: Instant) -> Errand {
    hand.fetching_until = now.checked_add(IN_THE_BACKGROUND);
    Errand::Fetch { owed: hand.owed }
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
