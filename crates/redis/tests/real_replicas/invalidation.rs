//! What one forgets, all forget, soon.

use mcp_core::replicas::{BusEvent, Cause, Invalidation, InvalidationBus, Origin};
use mcp_testbed::redis::{RedisOptions, RedisServer};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::*;

const ROUNDS: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_takes_less_than_a_second_for_almost_all() {
    let redis = RedisServer::start();
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(Replica::start(&redis.url()).await);
    }
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("user-{round}");
        for replica in &replicas {
            replica.load(&name).await;
        }
        let (told, others) = (round % 3, [(round + 1) % 3, (round + 2) % 3]);
        let began = Instant::now();
        replicas[told].cache.invalidate_principal(&who(&name)).await;
        for other in others {
            replicas[other].forgets(&name).await;
            took.push(began.elapsed());
        }
    }
    took.sort();
    let at = |per_mille: usize| took[(took.len() - 1) * per_mille / 1_000];
    println!(
        "{} invalidations in other replicas: p50 {:?}, p99 {:?}, longest {:?}",
        took.len(),
        at(500),
        at(990),
        at(1_000)
    );
    assert!(at(990) < SECOND, "{:?}", at(990));
    // Each was said once: what is heard is not said again. Nobody else lost anything.
    let said = redis.command(&["HGET", "mcp:forget:{all}", "number"]);
    assert_eq!(said, ROUNDS.to_string());
    for replica in &replicas {
        let stats = replica.cache.stats();
        assert_eq!((stats.gaps, stats.away), (0, false));
        assert_eq!((stats.announced, stats.heard), (100, 200));
        assert_eq!(stats.invalidations, 300);
    }
}

#[tokio::test]
async fn every_kind_arrives_as_it_was_said_and_names_nobody() {
    let server = RedisServer::start();
    let [one, other] = [(); 2].map(|()| RedisBus::new(redis(&server.url())));
    let (me, you) = (Origin::new(), Origin::new());
    let (mut mine, mut yours) = (one.subscribe(me), other.subscribe(you));
    let mut raw = Raw::subscribe(&server).await;
    for heard in [&mut mine, &mut yours] {
        while heard.next().await != Some(BusEvent::Back) {}
        while heard.next_now().is_some() {}
    }
    let alice = who("alice");
    for said in [
        Invalidation::of_principal(&alice, Some(&server_id()), Cause::Refused),
        Invalidation::of_principal(&alice, None, Cause::LoggedOut),
        Invalidation::of_server(&server_id(), Cause::DefinitionsChanged),
        Invalidation::of_everything(Cause::Asked),
    ] {
        one.publish(me, said.clone());
        one.flush().await;
        assert_eq!(yours.next().await, Some(BusEvent::Invalidated(said)));
        let text = raw.next().await;
        assert!(text.contains("\"forget\""), "{text}");
        assert!(!text.contains("alice") && !text.contains("acme"), "{text}");
    }
    // Nobody hears itself.
    assert_eq!(mine.next_now(), None);
    // Others of the same process do, without Redis.
    drop(server);
    let mut beside = one.subscribe(Origin::new());
    let all = Invalidation::of_everything(Cause::Asked);
    one.publish(me, all.clone());
    let mut events = Vec::new();
    while let Some(event) = beside.next_now() {
        events.push(event);
    }
    assert!(events.contains(&BusEvent::Invalidated(all)));
}

/// Somebody who reads what goes over the channel.
struct Raw(tokio::io::Lines<BufReader<TcpStream>>);

impl Raw {
    async fn subscribe(server: &RedisServer) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port()))
            .await
            .unwrap();
        stream.write_all(b"SUBSCRIBE mcp:forget\r\n").await.unwrap();
        let mut raw = Self(BufReader::new(stream).lines());
        while raw.line().await != ":1" {}
        raw
    }

    async fn next(&mut self) -> String {
        loop {
            let line = self.line().await;
            if line.contains('{') {
                return line;
            }
        }
    }

    async fn line(&mut self) -> String {
        self.0.next_line().await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_flood_is_few_messages() {
    let redis = RedisServer::start();
    let (one, other) = Replica::pair(&redis.url()).await;
    other.load("alice").await;
    let (alice, id) = (who("alice"), server_id());
    let began = Instant::now();
    for _ in 0..5_000 {
        one.cache.invalidate_principal_at(&alice, &id).await;
        tokio::task::yield_now().await;
    }
    let flood = began.elapsed();
    other.forgets("alice").await;
    one.bus.flush().await;
    let said: u128 = redis
        .command(&["HGET", "mcp:forget:{all}", "number"])
        .parse()
        .unwrap();
    assert!(said <= flood.as_millis() / 20 + 2, "{said} in {flood:?}");
}

#[tokio::test]
async fn a_redis_that_is_full_carries_on() {
    let redis = RedisOptions::new()
        .arguments(&["--maxmemory-policy", "noeviction"])
        .start();
    let (one, other) = Replica::pair(&redis.url()).await;
    other.load("alice").await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    one.cache.invalidate_principal(&who("alice")).await;
    other.forgets("alice").await;
    assert_eq!(other.gaps(), 0);
    let said = redis.command(&["HGET", "mcp:forget:{all}", "number"]);
    assert_eq!(said, "0");
}

#[tokio::test]
async fn a_user_with_few_rights_is_enough() {
    let redis = RedisOptions::new()
        .password("test-password")
        .user("agents", "test-agents", "~mcp:* &mcp:* +@all -@admin")
        .start();
    let url = format!("redis://agents:test-agents@127.0.0.1:{}", redis.port());
    let (one, other) = Replica::pair(&url).await;
    other.load("alice").await;
    one.cache.invalidate_principal(&who("alice")).await;
    other.forgets("alice").await;
}

#[tokio::test]
async fn the_tasks_end_with_the_last_handle() {
    let redis = RedisServer::start();
    let replica = Replica::start(&redis.url()).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    assert!(metrics.num_alive_tasks() >= 3);
    drop(replica);
    until("all tasks have ended", || metrics.num_alive_tasks() == 0).await;
}
