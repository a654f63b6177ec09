//! Several caches on one bus.

use mcp_core::replicas::{
    BusEvent, Hub, Invalidation, InvalidationBus, LocalBus, Origin, Subscription,
};

use super::*;

/// A bus that the test takes away.
#[derive(Clone, Debug, Default)]
struct Flaky(Hub);

impl InvalidationBus for Flaky {
    fn publish(&self, from: Origin, invalidation: Invalidation) {
        if self.0.is_connected() {
            self.0.tell(Some(from), invalidation);
        }
    }

    fn subscribe(&self, origin: Origin) -> Subscription {
        self.0.subscribe(origin)
    }
}

fn on(bus: &(impl InvalidationBus + Clone + 'static)) -> ToolCache {
    ToolCache::builder()
        .bus(Arc::new(bus.clone()))
        .ttl(300 * SECOND)
        .build()
}

async fn holds(cache: &ToolCache, server: &Arc<FakeServer>, name: &str) -> bool {
    let made = builder(server, name);
    cache.get(&made, &token(name)).await.is_some()
}

#[tokio::test(start_paused = true)]
async fn what_one_forgets_all_forget_and_nobody_says_it_again() {
    let (alice, id) = (who("alice"), server_id());
    for by in 0..8 {
        let bus = LocalBus::new();
        let (one, other) = (on(&bus), on(&bus));
        let server = Arc::new(lister());
        for cache in [&one, &other] {
            load(cache, &server, "alice").await.unwrap();
            load(cache, &server, "bob").await.unwrap();
        }
        let (watched, context) = (
            builder(&server, "alice").middleware(one.watch()),
            CallContext::new(alice.clone()),
        );
        match by {
            0 => one.invalidate_principal(&alice).await,
            1 => one.invalidate_principal_at(&alice, &id).await,
            2 => one.invalidate_logged_out(&alice, &id).await,
            3 => {
                let print = token("alice").fingerprint();
                let key = CacheKey::new(id.clone(), alice.clone(), print);
                one.invalidate(&key).await;
            }
            4 => {
                server.fail_next_list(refusal());
                let old = token("alice-old");
                let list = one.get_or_load(&watched, &old, &context).await;
                assert!(list.is_err());
            }
            5 => {
                server.fail_next_call(refusal());
                let set = one.get(&watched, &token("alice")).await.unwrap();
                assert!(set.iter().next().unwrap().call(()).await.is_err());
            }
            6 => one.invalidate_server(&id).await,
            _ => one.invalidate_all().await,
        }
        settled().await;
        let everybody = by >= 6;
        for cache in [&one, &other] {
            assert!(!holds(cache, &server, "alice").await, "way {by}");
            assert_eq!(holds(cache, &server, "bob").await, !everybody, "way {by}");
        }
        let (told, heard) = (one.stats(), other.stats());
        assert_eq!((told.announced, told.heard), (1, 0), "way {by}");
        assert_eq!((heard.announced, heard.heard), (0, 1), "way {by}");
        assert_eq!(heard.gaps, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn layers_above_learn_that_others_forgot() {
    let bus = LocalBus::new();
    let (one, other) = (on(&bus), on(&bus));
    // Nothing of hers is in the cache: whoever holds something all the same has to ask anew.
    let before = other.epoch(&who("alice"));
    one.invalidate_principal(&who("alice")).await;
    settled().await;
    assert_ne!(other.epoch(&who("alice")), before);
    let mut heard = other.subscribe().unwrap();
    one.invalidate_all().await;
    let all = Invalidation::of_everything(Cause::Asked);
    let mut events = Vec::new();
    while let Some(event) = heard.next_now() {
        events.push(event);
    }
    assert!(events.contains(&BusEvent::Invalidated(all)));
}

#[tokio::test(start_paused = true)]
async fn what_one_does_for_itself_is_not_told() {
    let bus = LocalBus::new();
    let (one, other) = (on(&bus), on(&bus));
    let server = Arc::new(lister());
    load(&other, &server, "alice").await.unwrap();
    let (made, context) = (builder(&server, "alice"), CallContext::new(who("alice")));
    one.refresh(&made, &token("alice"), &context).await.unwrap();
    one.load(CacheMode::Bypass, &made, &token("alice"), &context)
        .await
        .unwrap();
    settled().await;
    assert!(holds(&other, &server, "alice").await);
    assert_eq!(one.stats().announced, 0);
}

#[tokio::test(start_paused = true)]
async fn while_nobody_can_be_heard_nothing_is_kept_for_long() {
    let bus = Flaky::default();
    bus.0.set_connected(true);
    let (cache, server) = (on(&bus), Arc::new(lister()));
    load(&cache, &server, "alice").await.unwrap();
    assert!(!cache.stats().away);
    tokio::time::advance(100 * SECOND).await;
    assert!(holds(&cache, &server, "alice").await);
    bus.0.set_connected(false);
    settled().await;
    assert!(cache.stats().away);
    // From before: ten seconds from now.
    tokio::time::advance(9 * SECOND).await;
    settled().await;
    assert!(holds(&cache, &server, "alice").await);
    load(&cache, &server, "bob").await.unwrap();
    let epoch = cache.epoch(&who("alice"));
    tokio::time::advance(SECOND).await;
    settled().await;
    assert!(!holds(&cache, &server, "alice").await);
    assert_ne!(cache.epoch(&who("alice")), epoch);
    // Loaded meanwhile: ten seconds from when it was.
    load(&cache, &server, "carol").await.unwrap();
    tokio::time::advance(10 * SECOND).await;
    settled().await;
    assert!(!holds(&cache, &server, "carol").await);
    // It recovers by itself.
    bus.0.set_connected(true);
    settled().await;
    load(&cache, &server, "carol").await.unwrap();
    tokio::time::advance(100 * SECOND).await;
    settled().await;
    assert!(holds(&cache, &server, "carol").await);
    assert_eq!((cache.stats().away, cache.stats().gaps), (false, 0));
}

#[tokio::test(start_paused = true)]
async fn a_moment_away_costs_nothing() {
    let bus = Flaky::default();
    bus.0.set_connected(true);
    let (cache, server) = (on(&bus), Arc::new(lister()));
    load(&cache, &server, "alice").await.unwrap();
    for _ in 0..5 {
        for connected in [false, true] {
            bus.0.set_connected(connected);
            settled().await;
            tokio::time::advance(5 * SECOND).await;
        }
    }
    settled().await;
    assert!(holds(&cache, &server, "alice").await);
}

#[tokio::test(start_paused = true)]
async fn stale_sets_are_not_given_while_nobody_can_be_heard() {
    let bus = Flaky::default();
    let cache = ToolCache::builder()
        .bus(Arc::new(bus))
        .away_ttl(SECOND)
        .stale_while_revalidate(100 * SECOND)
        .build();
    let server = Arc::new(lister());
    load(&cache, &server, "alice").await.unwrap();
    tokio::time::advance(2 * SECOND).await;
    load(&cache, &server, "alice").await.unwrap();
    assert_eq!((server.lists(), cache.stats().stale), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn everything_goes_when_something_may_have_been_missed() {
    let bus = Flaky::default();
    let (cache, server) = (on(&bus), Arc::new(lister().public()));
    load(&cache, &server, "alice").await.unwrap();
    // A bus that connects does not know what was said before. Nobody relied on it.
    bus.0.tell_missed();
    bus.0.set_connected(true);
    settled().await;
    assert!(!holds(&cache, &server, "alice").await);
    assert_eq!(cache.stats().gaps, 0);
    load(&cache, &server, "alice").await.unwrap();
    bus.0.tell_missed();
    settled().await;
    assert!(!holds(&cache, &server, "alice").await);
    load(&cache, &server, "bob").await.unwrap();
    assert_eq!((server.lists(), cache.stats().gaps), (3, 1));
    // More than can be kept for one who is busy.
    for _ in 0..5_000 {
        let nobody = Invalidation::of_principal(&who("nobody"), None, Cause::LoggedOut);
        bus.publish(Origin::new(), nobody);
    }
    settled().await;
    assert!(!holds(&cache, &server, "bob").await);
    assert_eq!(cache.stats().gaps, 2);
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_all_replicas_tell_makes_nobody_load_again_and_again() {
    let bus = LocalBus::new();
    let (cache, server) = (on(&bus), Arc::new(lister()));
    let id = server_id();
    load(&cache, &server, "alice").await.unwrap();
    for _ in 0..30 {
        bus.publish(
            Origin::new(),
            Invalidation::of_server(&id, Cause::ToolsChanged),
        );
        settled().await;
        load(&cache, &server, "alice").await.unwrap();
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    // The first at once, the others together half a second later.
    assert_eq!(server.lists(), 2);
    tokio::time::advance(Duration::from_millis(500)).await;
    settled().await;
    load(&cache, &server, "alice").await.unwrap();
    assert_eq!(server.lists(), 3);
    tokio::time::advance(SECOND).await;
    settled().await;
    load(&cache, &server, "alice").await.unwrap();
    assert_eq!(server.lists(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_changed_is_told() {
    let bus = LocalBus::new();
    let (one, other) = (on(&bus), on(&bus));
    let tools = Arc::new(Mutex::new(vec![("pay", "pays".to_owned())]));
    let describe = |text: &str| text.clone_into(&mut tools.lock().unwrap()[0].1);
    let listed = Arc::clone(&tools);
    let server = FakeServer::new("s").ttl(SECOND).personal(move |_| {
        let definition = |(name, text): &(&str, String)| {
            json!({ "name": name, "description": text, "inputSchema": {} }).to_string()
        };
        listed.lock().unwrap().iter().map(definition).collect()
    });
    let server = Arc::new(server);
    let load = async |cache: &ToolCache, name: &str| {
        let (made, context) = (builder(&server, name), CallContext::new(who(name)));
        let set = cache.get_or_load(&made, &token(name), &context).await;
        set.unwrap().len()
    };
    load(&one, "alice").await;
    tokio::time::advance(SECOND).await;
    // A tool more says something of her alone.
    tools.lock().unwrap().push(("more", String::new()));
    assert_eq!(load(&one, "alice").await, 2);
    assert_eq!(one.stats().announced, 0);
    tokio::time::advance(SECOND).await;
    for cache in [&one, &other] {
        load(cache, "bob").await;
    }
    describe("pays, and tells the server why");
    assert_eq!(load(&one, "alice").await, 2);
    settled().await;
    assert_eq!((one.stats().announced, other.stats().heard), (1, 1));
    // Everybody else asks again; she has it.
    let loads = |cache: &ToolCache| cache.stats().loads;
    let (before, elsewhere) = (loads(&one), loads(&other));
    load(&one, "alice").await;
    assert_eq!(loads(&one), before);
    load(&one, "bob").await;
    load(&other, "bob").await;
    assert_eq!((loads(&one), loads(&other)), (before + 1, elsewhere + 1));
    // A server that changes all the time is not told all the time.
    for n in 0..20 {
        tokio::time::advance(SECOND).await;
        describe(&format!("pays at {n}"));
        load(&one, "alice").await;
    }
    settled().await;
    assert_eq!(one.stats().announced, 1);
    tokio::time::advance(20 * SECOND).await;
    describe("pays");
    load(&one, "alice").await;
    assert_eq!(one.stats().announced, 2);
}

#[tokio::test]
async fn who_listens_ends_with_the_cache() {
    let bus = LocalBus::new();
    let (cache, server) = (on(&bus), Arc::new(lister()));
    load(&cache, &server, "alice").await.unwrap();
    settled().await;
    let store = Arc::downgrade(&cache.store);
    let clone = cache.clone();
    drop(cache);
    settled().await;
    assert!(store.upgrade().is_some());
    drop(clone);
    settled().await;
    assert!(store.upgrade().is_none(), "the task still holds the store");
}

#[test]
fn another_listens_where_a_runtime_ended() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().build().unwrap()
    };
    let bus = LocalBus::new();
    // Made where nothing can run: it is away until it is asked for something.
    let (cache, server) = (on(&bus), Arc::new(lister()));
    assert!(cache.stats().away);
    runtime().block_on(async {
        load(&cache, &server, "alice").await.unwrap();
        settled().await;
        assert!(!cache.stats().away);
    });
    assert!(cache.stats().away);
    let logout = Invalidation::of_principal(&who("alice"), None, Cause::LoggedOut);
    bus.publish(Origin::new(), logout);
    runtime().block_on(async {
        load(&cache, &server, "bob").await.unwrap();
        settled().await;
        assert!(!cache.stats().away);
        assert!(!holds(&cache, &server, "alice").await);
    });
}
