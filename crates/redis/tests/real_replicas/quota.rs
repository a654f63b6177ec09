//! So many calls for each principal, over all replicas.

use std::num::NonZeroU32;

use mcp_adapter::AgentTool;
use mcp_core::ErrorKind;
use mcp_core::replicas::{PrincipalTag, QuotaRequest, SharedQuota};
use mcp_middleware::{RateLimit, SharedLimit, WhenAway};
use mcp_redis::RedisQuota;
use mcp_testbed::redis::{Proxy, RedisServer, Weather};
use serde_json::Value;

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

/// A tool that alice may call so often in an hour, at a replica with a connection of its own.
fn tool(url: &str, calls: u32, away: WhenAway, set: fn(SharedLimit) -> SharedLimit) -> AgentTool {
    let quota: Arc<dyn SharedQuota> = Arc::new(RedisQuota::new(redis(url)));
    let limit = RateLimit::new(NonZeroU32::new(calls).unwrap(), HOUR);
    let limit = limit.shared(set(SharedLimit::new("calls", quota, away)));
    let schema = json!({ "type": "object" });
    let tool = AgentTool::from_parts("tool", "", &schema, |_: Value| async { Ok("ok") });
    tool.unwrap()
        .with_principal(who("alice"))
        .with_middleware(limit)
}

fn patient(limit: SharedLimit) -> SharedLimit {
    // The machine may be busy; these tests are about counting.
    limit.answer_within(5 * SECOND)
}

/// Calls at all replicas side by side until each has denied some.
async fn flood(tools: &[AgentTool]) -> u32 {
    let mut floods = tokio::task::JoinSet::new();
    for tool in tools {
        let tool = tool.clone();
        floods.spawn(async move {
            let (mut made, mut denied) = (0, 0);
            while denied < 50 {
                match tool.call(()).await {
                    Ok(_) => made += 1,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Denied);
                        denied += 1;
                    }
                }
            }
            made
        });
    }
    floods.join_all().await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exact_limit_is_exact() {
    let redis = RedisServer::start();
    let set = |limit: SharedLimit| patient(limit.exact());
    let tools = [(); 3].map(|()| tool(&redis.url(), 100, WhenAway::Deny, set));
    assert_eq!(flood(&tools).await, 100);
    // Somebody else has a limit of his own.
    let his = tools[0].with_principal(who("bob"));
    his.call(()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_in_blocks_is_kept_within_a_block_for_each() {
    let redis = RedisServer::start();
    let tools = [(); 3].map(|()| tool(&redis.url(), 300, WhenAway::Deny, patient));
    let before = requests(&redis);
    let made = flood(&tools).await;
    let asked = requests(&redis) - before;
    println!("{made} calls of 300, {asked} requests");
    assert!((300 - 90..=300 + 3 + 90).contains(&made), "{made}");
    assert!(asked < u64::from(made) / 2, "{asked} requests for {made}");
}

fn requests(redis: &RedisServer) -> u64 {
    let calls = redis.calls();
    let time = calls.iter().find(|(name, _)| name == "time");
    time.map_or(0, |(_, count)| *count)
}

#[tokio::test]
async fn calls_go_on_or_do_not_when_redis_is_away() {
    let mut redis = RedisServer::start();
    let exact = SharedLimit::exact;
    let open = [(); 3].map(|()| tool(&redis.url(), 10, WhenAway::Allow, exact));
    let closed = [(); 3].map(|()| tool(&redis.url(), 10, WhenAway::Deny, exact));
    redis.kill();
    let began = Instant::now();
    assert_eq!(flood(&open).await, 30);
    assert_eq!(flood(&closed).await, 0);
    let denied = closed[0].call(()).await.unwrap_err().to_string();
    assert!(denied.contains("nobody counts"), "{denied}");
    // Of 300 calls a few waited, and none for long.
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
    redis.restart();
    let began = Instant::now();
    while closed[0].call(()).await.is_err() {
        assert!(began.elapsed() < DEADLINE, "it does not recover");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_slow_redis_holds_calls_up_for_a_moment() {
    let redis = RedisServer::start();
    let proxy = Proxy::start(redis.port()).await;
    let tool = tool(&proxy.url(), 10_000, WhenAway::Allow, SharedLimit::exact);
    tool.call(()).await.unwrap();
    proxy.set(Weather::Slow(SECOND));
    let began = Instant::now();
    for _ in 0..1_000 {
        tool.call(()).await.unwrap();
    }
    // Were each held up for the moment that it may be, it would be fifty seconds.
    assert!(began.elapsed() < 10 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_script_counts_as_it_should() {
    let redis = RedisServer::start();
    let quota = RedisQuota::new(super::redis(&redis.url()));
    let tag = PrincipalTag::of(&who("alice"));
    let ten = NonZeroU32::new(10).unwrap();
    let ask = QuotaRequest::new("calls", tag, ten, HOUR);
    let each = HOUR / 10;
    // Nothing wanted, nothing kept.
    let none = quota.take(ask.wanting(0)).await.unwrap();
    assert_eq!(none.calls, 0);
    assert_eq!(redis.command(&["DBSIZE"]), "0");
    assert_eq!(quota.take(ask.wanting(4)).await.unwrap().calls, 4);
    let key = format!("mcp:quota:{{calls:{tag}}}");
    let life: u64 = redis.command(&["PTTL", &key]).parse().unwrap();
    let four = u64::try_from((each * 4).as_millis()).unwrap();
    assert!((four - 5_000..=four + 2_000).contains(&life), "{life}");
    assert!(!key.contains("alice"));
    // What was let through before counts first, and beyond the limit.
    assert_eq!(quota.take(ask.wanting(9).owing(3)).await.unwrap().calls, 3);
    let none = quota.take(ask.wanting(1).owing(2)).await.unwrap();
    assert_eq!(none.calls, 0);
    let expected = each * 3;
    assert!(none.wait <= expected && none.wait + 5 * SECOND > expected);
    // A clock far ahead, once, keeps nobody out for ever.
    redis.command(&["SET", &key, "9000000000000000"]);
    let none = quota.take(ask.wanting(1)).await.unwrap();
    assert!(none.wait <= HOUR + each, "{:?}", none.wait);
    // No choice of numbers breaks it.
    let most = NonZeroU32::MAX;
    for (calls, per) in [
        (NonZeroU32::MIN, Duration::MAX),
        (most, Duration::from_nanos(1)),
        (most, Duration::MAX),
    ] {
        let odd = QuotaRequest::new("odd {}", tag, calls, per);
        let grant = quota.take(odd.wanting(u32::MAX).owing(3)).await.unwrap();
        assert!(grant.calls <= calls.get());
    }
}
