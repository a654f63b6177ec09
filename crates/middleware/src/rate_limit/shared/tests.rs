//! Three replicas and one who counts.

use std::sync::atomic::{AtomicU32, Ordering};

use mcp_adapter::AgentTool;
use mcp_core::{BoxFuture, ErrorKind};

use super::super::RateLimit;
use super::*;
use crate::testing::echo;

/// Counts as a carrier does, on the clock of the test.
#[derive(Debug, Default)]
struct Counter {
    full_at: Mutex<HashMap<PrincipalTag, Instant>>,
    asked: AtomicU32,
    /// Answers so late.
    late: Mutex<Duration>,
    broken: Mutex<bool>,
}

impl SharedQuota for Counter {
    fn take<'a>(&'a self, request: QuotaRequest<'a>) -> BoxFuture<'a, Result<Grant, QuotaError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let late = *self.late.lock();
            tokio::time::sleep(late).await;
            if *self.broken.lock() {
                return Err(QuotaError::because("gone"));
            }
            let (now, each) = (Instant::now(), request.per / request.calls.get());
            let mut full_at = self.full_at.lock();
            let at = full_at.entry(request.who).or_insert(now);
            *at = (*at).max(now) + each * request.owed;
            let end = now + request.per;
            let mut given = 0;
            while given < request.wanted && *at + each <= end {
                *at += each;
                given += 1;
            }
            let wait = (*at + each).saturating_duration_since(end);
            Ok(Grant::new(given, wait))
        })
    }
}

struct Replicas {
    counter: Arc<Counter>,
    tools: Vec<AgentTool>,
}

/// So many calls in a minute, over three replicas.
fn three(calls: u32, away: WhenAway, set: impl Fn(SharedLimit) -> SharedLimit) -> Replicas {
    let counter = Arc::new(Counter::default());
    let tool = |_| {
        let quota: Arc<dyn SharedQuota> = Arc::<Counter>::clone(&counter);
        let limit = RateLimit::new(NonZeroU32::new(calls).unwrap(), Duration::from_secs(60));
        let limit = limit.shared(set(SharedLimit::new("calls", quota, away)));
        let alice = Principal::new("alice").unwrap();
        echo().with_principal(alice).with_middleware(limit)
    };
    let tools = (0..3).map(tool).collect();
    Replicas { counter, tools }
}

impl Replicas {
    /// Calls one replica after another until each denies, with a moment between rounds.
    async fn flood(&self) -> u32 {
        let mut made = 0;
        for _ in 0..300 {
            for tool in &self.tools {
                match tool.call(()).await {
                    Ok(_) => made += 1,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Denied),
                }
            }
            tokio::time::advance(Duration::from_millis(1)).await;
            tokio::task::yield_now().await;
        }
        made
    }

    fn asked(&self) -> u32 {
        self.counter.asked.swap(0, Ordering::SeqCst)
    }

    fn break_it(&self, broken: bool) {
        *self.counter.broken.lock() = broken;
    }
}

#[tokio::test(start_paused = true)]
async fn an_exact_limit_is_exact_over_all_replicas() {
    let replicas = three(30, WhenAway::Deny, SharedLimit::exact);
    assert_eq!(replicas.flood().await, 30);
    // One asks for each call that is let through, and nobody for those that are known to be over.
    assert!(replicas.asked() <= 30 + 3);
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(replicas.flood().await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_limit_in_blocks_is_kept_within_a_block_for_each() {
    let replicas = three(100, WhenAway::Deny, |limit| limit);
    let made = replicas.flood().await;
    // The local limit is 100 for each.
    assert!((100 - 30..=100 + 3 + 30).contains(&made), "{made}");
    assert!(replicas.asked() < 50);
    // Over a long time it is what the limit says: what was let through at first is counted.
    let mut all = 0;
    for _ in 0..600 {
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..3 {
            for tool in &replicas.tools {
                all += u32::from(tool.call(()).await.is_ok());
            }
            tokio::task::yield_now().await;
        }
    }
    assert!((950..=1_010).contains(&all), "{all} in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_call_finds_a_turn_that_was_fetched_ahead() {
    let replicas = three(100, WhenAway::Deny, |limit| limit);
    *replicas.counter.late.lock() = Duration::from_millis(20);
    let began = Instant::now();
    let mut waited = Duration::ZERO;
    for _ in 0..40 {
        let before = Instant::now();
        replicas.tools[0].call(()).await.unwrap();
        waited += before.elapsed();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(waited, Duration::ZERO);
    assert!(began.elapsed() >= Duration::from_secs(4));
    // At the same moment as the first, calls wait for the answer and are not denied.
    let bob = replicas.tools[0].with_principal(Principal::new("bob").unwrap());
    let (one, two, three) = tokio::join!(bob.call(()), bob.call(()), bob.call(()));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_counts_and_calls_go_on_or_do_not() {
    for exact in [false, true] {
        let set = |limit: SharedLimit| if exact { limit.exact() } else { limit };
        let open = three(10, WhenAway::Allow, set);
        open.break_it(true);
        // Each replica keeps to the limit on its own.
        assert_eq!(open.flood().await, 30, "exact: {exact}");
        assert!(open.asked() < 10);

        let closed = three(10, WhenAway::Deny, set);
        closed.break_it(true);
        let made = closed.flood().await;
        assert!(made <= if exact { 0 } else { 3 }, "{made} calls");
        let denied = closed.tools[0].call(()).await.unwrap_err();
        assert!(denied.to_string().contains("nobody counts"), "{denied}");
        // It recovers by itself, and no call waits for that.
        closed.break_it(false);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(closed.flood().await >= 7);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_carrier_holds_a_call_up_for_its_time_only() {
    let replicas = three(100, WhenAway::Allow, SharedLimit::exact);
    *replicas.counter.late.lock() = Duration::from_secs(30);
    let began = Instant::now();
    for _ in 0..10 {
        replicas.tools[0].call(()).await.unwrap();
    }
    assert_eq!(began.elapsed(), Duration::from_millis(50));
    // One that had to be connected to is there once it has been.
    *replicas.counter.late.lock() = Duration::from_millis(400);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(replicas.tools[0].call(()).await.is_ok());
    tokio::time::sleep(Duration::from_millis(500)).await;
    *replicas.counter.late.lock() = Duration::ZERO;
    replicas.asked();
    assert!(replicas.tools[0].call(()).await.is_ok());
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(replicas.tools[0].call(()).await.is_ok());
    assert_eq!(replicas.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn hands_that_are_over_are_forgotten() {
    let quota = Arc::new(Counter::default());
    let limit = SharedLimit::new("calls", quota, WhenAway::Allow);
    let shared = Shared::new(limit, NonZeroU32::new(1).unwrap(), Duration::from_secs(1));
    for n in 0..5 * SWEEP_AT {
        let principal = Principal::new(format!("user{n}")).unwrap();
        assert!(matches!(shared.look(&principal), Verdict::Yes));
        if n % 100 == 0 {
            tokio::time::advance(Duration::from_millis(100)).await;
            tokio::task::yield_now().await;
        }
    }
    let kept = shared.counted.hands.lock().len();
    assert!(kept <= SWEEP_AT, "{kept}");
}
