//! Caches that share public lists.

use std::time::SystemTime;

use mcp_core::auth::time::{Clock, SystemClock};
use mcp_core::replicas::{CatalogEntry, CatalogError, CatalogKey, CatalogStore, LocalBus};

use super::*;

/// A store in memory, which the test looks into and holds up.
#[derive(Debug, Default)]
struct Shelf {
    content: Mutex<Option<Vec<u8>>>,
    puts: AtomicUsize,
    gets: AtomicUsize,
    hangs: AtomicBool,
}

impl Shelf {
    fn answer<T: Send + 'static>(&self, value: T) -> BoxFuture<'static, Result<T, CatalogError>> {
        if self.hangs.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(Ok(value)))
    }

    fn content(&self) -> Option<Vec<u8>> {
        self.content.lock().unwrap().clone()
    }

    fn place(&self, content: impl Into<Vec<u8>>) {
        *self.content.lock().unwrap() = Some(content.into());
    }

    fn counts(&self) -> (usize, usize) {
        (
            self.gets.load(Ordering::SeqCst),
            self.puts.load(Ordering::SeqCst),
        )
    }
}

impl CatalogStore for Shelf {
    fn get<'a>(
        &'a self,
        key: &'a CatalogKey,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, CatalogError>> {
        assert_eq!(key.as_str().len(), 32);
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.answer(self.content())
    }

    fn put<'a>(
        &'a self,
        _key: &'a CatalogKey,
        content: &'a [u8],
        life: Duration,
    ) -> BoxFuture<'a, Result<(), CatalogError>> {
        assert!(!life.is_zero());
        self.puts.fetch_add(1, Ordering::SeqCst);
        if !self.hangs.load(Ordering::SeqCst) {
            self.place(content);
        }
        self.answer(())
    }

    fn forget<'a>(&'a self, _key: &'a CatalogKey) -> BoxFuture<'a, Result<(), CatalogError>> {
        if !self.hangs.load(Ordering::SeqCst) {
            *self.content.lock().unwrap() = None;
        }
        self.answer(())
    }
}

/// Calendar time that goes with the runtime's, which the test turns.
#[derive(Debug)]
struct Calendar(Instant, SystemTime);

impl Calendar {
    fn new() -> Arc<Self> {
        Arc::new(Self(SystemClock.now(), SystemClock.wall()))
    }
}

impl Clock for Calendar {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> SystemTime {
        self.1 + (self.now() - self.0)
    }

    fn sleep_until(&self, deadline: Instant) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        SystemClock.sleep_until(deadline)
    }
}

fn on(shelf: &Arc<Shelf>, clock: &Arc<Calendar>) -> ToolCache {
    ToolCache::builder()
        .catalog(Arc::<Shelf>::clone(shelf))
        .clock(Arc::<Calendar>::clone(clock))
        .build()
}

fn public() -> Arc<FakeServer> {
    Arc::new(lister().public().ttl(60 * SECOND))
}

#[tokio::test(start_paused = true)]
async fn who_starts_later_asks_nobody_and_keeps_it_no_longer() {
    let (shelf, clock, server) = (Arc::default(), Calendar::new(), public());
    load(&on(&shelf, &clock), &server, "alice").await.unwrap();
    tokio::time::advance(40 * SECOND).await;
    let later = on(&shelf, &clock);
    for name in ["bob", "carol", "bob"] {
        let tool = load(&later, &server, name).await.unwrap();
        assert_eq!(tool, "tool_of_alice");
    }
    assert_eq!((server.lists(), shelf.counts()), (1, (2, 1)));
    let stats = later.stats();
    assert_eq!((stats.loads, stats.found, stats.hits), (0, 1, 1));
    // The server vouched for a minute, from when it was asked.
    tokio::time::advance(19 * SECOND).await;
    load(&later, &server, "bob").await.unwrap();
    assert_eq!(server.lists(), 1);
    tokio::time::advance(2 * SECOND).await;
    let tool = load(&later, &server, "bob").await.unwrap();
    assert_eq!((tool.as_str(), server.lists()), ("tool_of_bob", 2));
    // Who keeps nothing for so long does not keep this either.
    tokio::time::advance(11 * SECOND).await;
    let brief = ToolCache::builder()
        .catalog(Arc::<Shelf>::clone(&shelf))
        .clock(Arc::<Calendar>::clone(&clock))
        .ttl(10 * SECOND)
        .build();
    load(&brief, &server, "bob").await.unwrap();
    assert_eq!(server.lists(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_private_is_not_put_there_and_not_looked_for_again() {
    let (shelf, clock, server) = (Arc::default(), Calendar::new(), Arc::new(lister()));
    let cache = on(&shelf, &clock);
    load(&cache, &server, "alice").await.unwrap();
    load(&cache, &server, "bob").await.unwrap();
    assert_eq!((server.lists(), shelf.counts()), (2, (1, 0)));
    let entry = CatalogEntry::new(
        server
            .list_tools(&CallContext::new(who("alice")))
            .await
            .unwrap(),
        clock.wall(),
        clock.wall() + SECOND,
    );
    assert!(entry.encode(&*server).is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_broken_or_somebody_elses_is_left_alone_and_replaced() {
    let (shelf, clock) = (Arc::<Shelf>::default(), Calendar::new());
    let first = public();
    load(&on(&shelf, &clock), &first, "alice").await.unwrap();
    let good = String::from_utf8(shelf.content().unwrap()).unwrap();
    let mut spaced = good.clone();
    spaced.push_str(&" ".repeat(CatalogEntry::MOST_BYTES));
    let bad = [
        String::new(),
        "test-nonsense".to_owned(),
        good[..good.len() / 2].to_owned(),
        good.replace("\"version\":1", "\"version\":2"),
        good.replace("\"server\":\"s\"", "\"server\":\"t\""),
        good.replace("\"place\":\"", "\"place\":\"0"),
        good.replace("inputSchema", "schema"),
        spaced,
    ];
    for bad in bad {
        assert_ne!(bad, good);
        shelf.place(bad.clone());
        let (cache, server) = (on(&shelf, &clock), public());
        let tool = load(&cache, &server, "bob").await.unwrap();
        assert_eq!(
            (tool.as_str(), server.lists()),
            ("tool_of_bob", 1),
            "{bad:.80}"
        );
        // In its place is what the next finds.
        let next = on(&shelf, &clock);
        load(&next, &server, "carol").await.unwrap();
        assert_eq!(server.lists(), 1, "{bad:.80}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_invalidated_is_asked_anew() {
    for by in 0..5 {
        let (shelf, clock, server) = (Arc::<Shelf>::default(), Calendar::new(), public());
        let bus = LocalBus::new();
        let replica = || {
            ToolCache::builder()
                .catalog(Arc::<Shelf>::clone(&shelf))
                .clock(Arc::<Calendar>::clone(&clock))
                .bus(Arc::new(bus.clone()))
                .build()
        };
        let (one, other) = (replica(), replica());
        load(&one, &server, "alice").await.unwrap();
        let old = shelf.content().unwrap();
        tokio::time::advance(SECOND).await;
        let asked = CallContext::new(who("alice"));
        match by {
            0 => one.invalidate_server(server.id()).await,
            1 => one.invalidate_all().await,
            2 => {
                // Nobody can take it away, and it is not believed all the same.
                shelf.hangs.store(true, Ordering::SeqCst);
                one.invalidate_server(server.id()).await;
                shelf.hangs.store(false, Ordering::SeqCst);
                tokio::time::sleep(6 * SECOND).await;
            }
            3 => {
                // Who was slow puts there what was so before.
                one.invalidate_server(server.id()).await;
                shelf.place(old);
            }
            _ => {
                let (made, token) = (builder(&server, "alice"), token("alice"));
                one.refresh(&made, &token, &asked).await.unwrap();
                assert_eq!(server.lists(), 2);
                load(&other, &server, "bob").await.unwrap();
                assert_eq!(server.lists(), 2);
                continue;
            }
        }
        settled().await;
        if by < 2 {
            assert_eq!(shelf.content(), None, "way {by}");
        }
        for cache in [&one, &other] {
            load(cache, &server, "bob").await.unwrap();
            assert_eq!(server.lists(), 2, "way {by}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_costs_a_moment_once() {
    let (shelf, clock, server) = (Arc::<Shelf>::default(), Calendar::new(), public());
    shelf.hangs.store(true, Ordering::SeqCst);
    let cache = on(&shelf, &clock);
    let began = clock.now();
    load(&cache, &server, "alice").await.unwrap();
    assert_eq!(clock.now() - began, Duration::from_millis(250));
    cache.forget_server(server.id()).await;
    load(&cache, &server, "alice").await.unwrap();
    assert_eq!(clock.now() - began, Duration::from_millis(250));
    assert_eq!((server.lists(), shelf.counts()), (2, (1, 0)));
    // Later it is tried again.
    shelf.hangs.store(false, Ordering::SeqCst);
    tokio::time::advance(6 * SECOND).await;
    cache.forget_server(server.id()).await;
    load(&cache, &server, "alice").await.unwrap();
    assert_eq!(shelf.counts(), (2, 1));
}
