//! So many calls for each principal.

mod shared;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use mcp_adapter::{Flow, Middleware, ToolInvocation};
use mcp_core::auth::MaybeReady;
use mcp_core::auth::time::Instant;
use mcp_core::{Error, Principal};

use self::shared::{Shared, Verdict};
pub use self::shared::{SharedLimit, WhenAway};

/// Principals that are counted before those are forgotten who have their whole share again.
const SWEEP_AT: usize = 10_000;

/// Lets each principal make so many calls, over all tools and servers that share one value (`Arc`).
/// One who floods is held up; the others keep their share.
///
/// A call beyond the limit is denied, and the reason says when to try again; or it waits, where that
/// is asked for and its deadline allows. One principal's calls may come in a burst of as many as the
/// limit, then evenly (GCRA).
///
/// ```
/// use std::{num::NonZeroU32, sync::Arc, time::Duration};
/// use mcp_middleware::RateLimit;
///
/// let sixty = NonZeroU32::new(60).ok_or("not zero")?;
/// let limit = Arc::new(RateLimit::new(sixty, Duration::from_secs(60)));
/// # Ok::<(), &str>(())
/// ```
pub struct RateLimit {
    limiter: Limiter,
    calls: NonZeroU32,
    per: Duration,
    waits: bool,
    sweep_at: AtomicUsize,
    shared: Option<Shared>,
}

type Limiter =
    RateLimiter<Principal, HashMapStateStore<Principal>, SinceStart, NoOpMiddleware<Duration>>;

/// The clock that tests can hold still.
struct SinceStart(Instant);

impl Clock for SinceStart {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl RateLimit {
    /// So many calls in so long a time, at least a nanosecond for each.
    pub fn new(calls: NonZeroU32, per: Duration) -> Self {
        let each = (per / calls.get()).max(Duration::from_nanos(1));
        // `None` only for a period of zero, which this is not.
        let quota = Quota::with_period(each).unwrap_or(Quota::per_second(calls));
        Self {
            limiter: RateLimiter::hashmap_with_clock(
                quota.allow_burst(calls),
                SinceStart(Instant::now()),
            ),
            calls,
            per,
            waits: false,
            sweep_at: AtomicUsize::new(SWEEP_AT),
            shared: None,
        }
    }

    /// Calls beyond the limit wait for their turn where their deadline allows, and are denied
    /// otherwise.
    pub fn wait(mut self) -> Self {
        self.waits = true;
        self
    }

    /// Counts the calls of all replicas together. A limit of each replica's own besides is another
    /// value, around this one.
    pub fn shared(mut self, limit: SharedLimit) -> Self {
        self.shared = Some(Shared::new(limit, self.calls, self.per));
        self
    }

    /// How long until the principal may call; the call is counted when it may.
    fn check(&self, principal: &Principal) -> Result<(), Duration> {
        let checked = self.limiter.check_key(principal);
        let outcome = checked.map_err(|not_yet| not_yet.wait_time_from(self.limiter.clock().now()));
        if self.limiter.len() >= self.sweep_at.load(Ordering::Relaxed) {
            self.limiter.retain_recent();
            let kept = self.limiter.len();
            self.sweep_at
                .store((kept * 2).max(SWEEP_AT), Ordering::Relaxed);
        }
        outcome
    }

    fn over(&self, call: &ToolInvocation<'_>, wait: Duration) -> Error {
        let seconds = wait.as_secs_f64().ceil().max(1.0);
        let (calls, per) = (self.calls, self.per);
        let reason = format!("more than {calls} calls in {per:?}; try again in {seconds} s");
        call.denied_by(self, reason)
    }
}

impl RateLimit {
    /// Waits for a turn that is there after `wait`, if the call may wait for so long.
    async fn pause(&self, call: &ToolInvocation<'_>, wait: Duration) -> Result<(), Error> {
        let until = Instant::now().checked_add(wait);
        let deadline = call.context().deadline;
        let late = until.is_none_or(|until| deadline.is_some_and(|deadline| deadline <= until));
        if late || !self.waits {
            return Err(self.over(call, wait));
        }
        tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
        Ok(())
    }

    async fn pass_own(&self, call: &ToolInvocation<'_>) -> Result<(), Error> {
        while let Err(wait) = self.check(call.principal()) {
            self.pause(call, wait).await?;
        }
        Ok(())
    }

    async fn pass_shared(
        &self,
        call: &ToolInvocation<'_>,
        shared: &Shared,
        mut verdict: Verdict,
    ) -> Result<(), Error> {
        loop {
            verdict = match verdict {
                Verdict::Yes => {
                    self.count(call.principal());
                    return Ok(());
                }
                Verdict::Alone => return self.pass_own(call).await,
                Verdict::Away => return Err(self.uncounted(call)),
                Verdict::Ask => shared.ask(call.principal()).await,
                Verdict::Over(wait) => {
                    self.pause(call, wait).await?;
                    shared.look(call.principal())
                }
            };
        }
    }

    /// Counts here what was let through by the count of all, for when that is away.
    fn count(&self, principal: &Principal) {
        let _ = self.check(principal);
    }

    fn uncounted(&self, call: &ToolInvocation<'_>) -> Error {
        let reason = "nobody counts the calls of all replicas now; try again in 1 s";
        call.denied_by(self, reason)
    }
}

impl Middleware for RateLimit {
    fn before_tool_call<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
    ) -> MaybeReady<'a, Result<Flow, Error>> {
        let principal = call.principal();
        let Some(shared) = &self.shared else {
            let wait = match self.check(principal) {
                Ok(()) => return MaybeReady::ready(Ok(Flow::Continue)),
                Err(wait) => wait,
            };
            if !self.waits {
                return MaybeReady::ready(Err(self.over(call, wait)));
            }
            return MaybeReady::new(async move {
                self.pause(call, wait).await?;
                self.pass_own(call).await?;
                Ok(Flow::Continue)
            });
        };
        match shared.look(principal) {
            Verdict::Yes => {
                self.count(principal);
                MaybeReady::ready(Ok(Flow::Continue))
            }
            Verdict::Over(wait) if !self.waits => MaybeReady::ready(Err(self.over(call, wait))),
            Verdict::Away => MaybeReady::ready(Err(self.uncounted(call))),
            verdict => MaybeReady::new(async move {
                self.pass_shared(call, shared, verdict).await?;
                Ok(Flow::Continue)
            }),
        }
    }
}

/// Principals are not shown.
impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("calls", &self.calls)
            .field("per", &self.per)
            .field("waits", &self.waits)
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mcp_adapter::AgentTool;
    use mcp_core::ErrorKind;

    use super::*;
    use crate::testing::echo;

    fn limit(calls: u32, seconds: u64) -> RateLimit {
        RateLimit::new(
            NonZeroU32::new(calls).unwrap(),
            Duration::from_secs(seconds),
        )
    }

    fn tool_of(name: &str, limit: &Arc<RateLimit>) -> AgentTool {
        let tool = echo().with_principal(Principal::new(name).unwrap());
        tool.with_middleware(Arc::clone(limit))
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_floods_is_held_up_and_others_are_not() {
        let limit = Arc::new(limit(3, 60));
        let (alice, bob) = (tool_of("alice", &limit), tool_of("bob", &limit));
        for _ in 0..3 {
            alice.call(()).await.unwrap();
        }
        for _ in 0..100 {
            let error = alice.call(()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied);
        }
        let error = alice.call(()).await.unwrap_err().to_string();
        assert!(
            error.contains("more than 3 calls in 60s; try again in 20 s"),
            "{error}"
        );
        bob.call(()).await.unwrap();
        tokio::time::advance(Duration::from_secs(20)).await;
        alice.call(()).await.unwrap();
        assert!(alice.call(()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_deadline() {
        let limit = Arc::new(limit(1, 10).wait());
        let alice = tool_of("alice", &limit);
        let began = Instant::now();
        alice.call(()).await.unwrap();
        alice.call(()).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(10));
        let hasty = alice.context().with_timeout(Duration::from_secs(5));
        let error = alice.call_with((), &hasty).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(began.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn the_quiet_are_forgotten() {
        let limit = limit(1, 1);
        for n in 0..5 * SWEEP_AT {
            let principal = Principal::new(format!("user{n}")).unwrap();
            limit.check(&principal).unwrap();
            if n % 100 == 0 {
                tokio::time::advance(Duration::from_millis(100)).await;
            }
        }
        assert!(limit.limiter.len() <= SWEEP_AT, "{}", limit.limiter.len());
    }
}
