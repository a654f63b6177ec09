//! Who gets what somebody else loaded, and who does not.

use mcp_core::auth::Fingerprint;

use super::*;

#[tokio::test]
async fn users_never_share_an_entry() {
    let (cache, server) = (ToolCache::new(), Arc::new(lister()));
    for _ in 0..3 {
        for name in ["alice", "bob"] {
            let tool = load(&cache, &server, name).await.unwrap();
            assert_eq!(tool, format!("tool_of_{name}"));
        }
    }
    assert_eq!(server.lists(), 2);
    // Another token of the same user is another entry: it may see other tools.
    let context = CallContext::new(who("alice"));
    let other = token("alice-reader");
    cache
        .get_or_load(&builder(&server, "alice"), &other, &context)
        .await
        .unwrap();
    assert_eq!(server.lists(), 3);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads), (4, 3, 3));
}

#[test]
fn no_choice_of_names_makes_two_keys_one() {
    let server = server_id();
    let none = Fingerprint::anonymous();
    let key = |tenant: &str, user: &str| {
        let principal = Principal::in_tenant(tenant, user).unwrap();
        CacheKey::new(server.clone(), principal, none)
    };
    assert_ne!(key("c", "a:b"), key("b:c", "a"));
    assert_ne!(
        key("a", "b"),
        CacheKey::new(server.clone(), who("b@a"), none)
    );
    let elsewhere = CacheKey::new(ServerId::new("s2").unwrap(), who("b"), none);
    assert_ne!(CacheKey::new(server, who("b"), none), elsewhere);
    assert!(!format!("{elsewhere:?}").contains("test-token"));
}

#[tokio::test]
async fn many_callers_share_one_load() {
    let server = Arc::new(lister().holding_lists_after(0));
    let cache = ToolCache::new();
    let callers: Vec<_> = (0..200)
        .map(|_| {
            let (cache, server) = (cache.clone(), Arc::clone(&server));
            tokio::spawn(async move { load(&cache, &server, "alice").await })
        })
        .collect();
    while server.lists() == 0 {
        tokio::task::yield_now().await;
    }
    server.let_through(1);
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "tool_of_alice");
    }
    assert_eq!(server.lists(), 1);
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.waits, stats.loads), (200, 199, 1));
}

#[tokio::test]
async fn a_failure_is_shared_and_not_kept() {
    let server = lister().holding_lists_after(0);
    server.fail_next_list(unreachable());
    let cache = ToolCache::builder().negative_ttl(Duration::ZERO).build();
    let server = Arc::new(server);
    let (first, second, ()) = tokio::join!(
        load(&cache, &server, "alice"),
        load(&cache, &server, "alice"),
        async {
            tokio::task::yield_now().await;
            server.let_through(1);
        }
    );
    assert_eq!(first.unwrap_err().kind(), ErrorKind::Connect);
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Connect);
    assert_eq!(server.lists(), 1);
    server.let_through(1);
    assert!(load(&cache, &server, "alice").await.is_ok());
    assert_eq!(cache.stats().failures, 1);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_cancellation_is_not_mine() {
    let server = Arc::new(lister().holding_lists_after(0));
    let cache = ToolCache::new();
    let made = builder(&server, "alice");
    // One who is dropped, one who is cancelled by token, and one who goes on.
    let (deadline, patient) = (
        CallContext::new(who("alice")).with_cancellation(cancelled_soon()),
        CallContext::new(who("alice")),
    );
    let credentials = token("alice");
    let dropped = Box::pin(cache.get_or_load(&made, &credentials, &patient));
    let soon = tokio::time::timeout(Duration::from_millis(1), dropped);
    let (dropped, cancelled, fine, ()) = tokio::join!(
        soon,
        cache.get_or_load(&made, &credentials, &deadline),
        cache.get_or_load(&made, &credentials, &patient),
        async {
            while server.lists() < 3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            server.let_through(1);
        }
    );
    assert!(dropped.is_err());
    assert_eq!(cancelled.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(fine.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_was_stopped_for_somebody_else_is_asked_for_again() {
    let server = Arc::new(lister().holding_lists_after(0));
    let cache = ToolCache::new();
    let (made, credentials) = (builder(&server, "alice"), token("alice"));
    let (stopped, patient) = (
        CallContext::new(who("alice")).with_cancellation(cancelled_soon()),
        CallContext::new(who("alice")),
    );
    // Here the lists end with their callers' tokens, and the waits do not.
    let ((stopped, _), (fine, _), ()) = tokio::join!(
        cache.get_or_load_until(&made, &credentials, || server.list_tools(&stopped)),
        cache.get_or_load_until(&made, &credentials, || server.list_tools(&patient)),
        async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            server.let_through(1);
        }
    );
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(fine.unwrap().len(), 1);
    assert_eq!(server.lists(), 2);
}

fn cancelled_soon() -> tokio_util::sync::CancellationToken {
    let token = tokio_util::sync::CancellationToken::new();
    let later = token.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        later.cancel();
    });
    token
}

#[tokio::test(start_paused = true)]
async fn public_lists_are_shared_and_bindings_are_not() {
    let server = Arc::new(lister().public().ttl(10 * SECOND));
    let cache = ToolCache::new();
    load(&cache, &server, "alice").await.unwrap();
    // His list is hers; `load` sees to it that the tools are bound to him, and here they are called.
    assert_eq!(load(&cache, &server, "bob").await.unwrap(), "tool_of_alice");
    assert_eq!((server.lists(), cache.stats().shared), (1, 1));
    let own = Arc::new(lister());
    let his = builder(&own, "carol");
    let context = CallContext::new(who("carol"));
    let set = cache
        .get_or_load(&his, &token("carol"), &context)
        .await
        .unwrap();
    let output = set.iter().next().unwrap().call(()).await.unwrap();
    assert_eq!(output.text(), "carol");
    assert!(Arc::ptr_eq(
        his.server(),
        &(Arc::clone(&own) as Arc<dyn ToolServer>)
    ));
    assert_eq!((server.lists(), own.lists()), (1, 0));
    // The list is as old for him as it is for her.
    tokio::time::advance(Duration::from_secs(10)).await;
    load(&cache, &server, "bob").await.unwrap();
    assert_eq!(server.lists(), 2);
}

#[tokio::test]
async fn a_hit_is_bound_as_the_caller_binds() {
    let (cache, server) = (ToolCache::new(), Arc::new(lister()));
    load(&cache, &server, "alice").await.unwrap();
    let context = CallContext::new(who("alice"));
    let stop = mcp_adapter::MiddlewareStack::new().with(Stop);
    let strict = builder(&server, "alice").middleware_stack(&stop);
    let set = cache
        .get_or_load(&strict, &token("alice"), &context)
        .await
        .unwrap();
    assert_eq!(server.lists(), 1);
    let error = set.iter().next().unwrap().call(()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    // Other names or a choice of tools are another set.
    let prefixed = builder(&server, "alice").prefix("x_");
    let set = cache
        .get_or_load(&prefixed, &token("alice"), &context)
        .await
        .unwrap();
    assert_eq!(set.iter().next().unwrap().name(), "x_tool_of_alice");
    assert_eq!(server.lists(), 2);
}

#[derive(Debug)]
struct Stop;

impl mcp_adapter::Middleware for Stop {
    fn before_tool_call<'a>(
        &'a self,
        call: &'a mut mcp_adapter::ToolInvocation<'_>,
    ) -> mcp_core::auth::MaybeReady<'a, Result<mcp_adapter::Flow, Error>> {
        mcp_core::auth::MaybeReady::ready(Err(call.denied_by(self, "stopped")))
    }
}

#[tokio::test]
async fn many_users_seen_once_take_bounded_room() {
    let cache = ToolCache::builder().capacity(100).build();
    let server = Arc::new(lister());
    for n in 0..5_000 {
        load(&cache, &server, &format!("user{n}")).await.unwrap();
    }
    cache.store.entries.run_pending_tasks().await;
    let stats = cache.stats();
    assert!(stats.entries <= 100, "{stats:?}");
    assert!(stats.evictions > 0);
    assert!(cache.store.flights.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interleaved_users_never_see_each_other() {
    let (cache, server) = (ToolCache::new(), Arc::new(lister()));
    let users: Vec<_> = (0..8)
        .map(|user| {
            let (cache, server) = (cache.clone(), Arc::clone(&server));
            tokio::spawn(async move {
                let name = format!("user{user}");
                for round in 0..1_250 {
                    assert_eq!(
                        load(&cache, &server, &name).await.unwrap(),
                        format!("tool_of_{name}")
                    );
                    if round % 7 == user {
                        cache.invalidate_principal(&who(&name)).await;
                    }
                }
            })
        })
        .collect();
    for user in users {
        user.await.unwrap();
    }
    assert!(cache.store.flights.is_empty());
}

#[tokio::test]
async fn what_is_told_to_one_is_kept_for_that_one_though_nobody_is_bound() {
    let (cache, server) = (ToolCache::new(), Arc::new(lister()));
    let shared: Arc<dyn ToolServer> = Arc::<FakeServer>::clone(&server);
    let unbound = ToolSet::builder(shared);
    // One token for the whole platform: who asks is told to the server in another way.
    let credentials = token("platform");
    for _ in 0..2 {
        for name in ["alice", "bob"] {
            let context = CallContext::new(who(name));
            let set = cache.get_or_load(&unbound, &credentials, &context);
            let set = set.await.unwrap();
            assert_eq!(set.iter().next().unwrap().name(), format!("tool_of_{name}"));
        }
    }
    assert_eq!(server.lists(), 2);
    cache.invalidate_principal(&who("alice")).await;
    let context = CallContext::new(who("alice"));
    let again = cache.get_or_load(&unbound, &credentials, &context).await;
    assert_eq!((again.is_ok(), server.lists()), (true, 3));
}

#[tokio::test(start_paused = true)]
async fn each_caller_waits_as_long_as_it_has() {
    let server = Arc::new(lister().holding_lists_after(0));
    let cache = ToolCache::new();
    let load_within = |seconds| {
        let (cache, server) = (cache.clone(), Arc::clone(&server));
        async move {
            let began = Instant::now();
            let context = CallContext::new(who("alice")).with_timeout(Duration::from_secs(seconds));
            let loaded = cache
                .get_or_load(&builder(&server, "alice"), &token("alice"), &context)
                .await;
            (
                loaded.map(drop).map_err(|error| error.kind()),
                began.elapsed().as_secs(),
            )
        }
    };
    // The first to come has the least time, or the most: neither counts for the others.
    for (first, second) in [(1, 100), (100, 1)] {
        cache.invalidate_all().await;
        let opened = async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            server.let_through(1);
        };
        let (one, other, ()) = tokio::join!(load_within(first), load_within(second), opened);
        let (hasty, patient) = if first < second {
            (one, other)
        } else {
            (other, one)
        };
        assert_eq!(hasty, (Err(ErrorKind::Timeout), 1));
        assert_eq!(patient, (Ok(()), 10));
    }
}
