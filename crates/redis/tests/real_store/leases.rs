//! Who may refresh, and how the others hear of it.

use std::process::{Child, Command, Stdio};

use mcp_auth::{Expected, StoreErrorKind};
use mcp_testbed::redis::{Proxy, Weather};

use super::*;

#[tokio::test]
async fn a_lease_is_renewed_while_it_is_held_and_free_when_it_is_dropped() {
    let server = RedisServer::start();
    let (one, other) = (store(&server).lease_time(SECOND / 4), store(&server));
    let lease = one
        .lease(&key("alice"), 60 * SECOND)
        .await
        .unwrap()
        .unwrap();
    let name = server.command(&["KEYS", "*:lease:*"]);
    let until = || {
        server
            .command(&["HGET", &name, "u"])
            .parse::<u64>()
            .unwrap()
    };
    let first = until();
    // Well past the end that it began with.
    wait_for(async || until() > first + 1000).await;
    assert!(lease.is_held());
    assert!(other.lease(&key("alice"), SECOND).await.unwrap().is_none());
    drop(lease);
    let mut next = None;
    wait_for(async || {
        next = other.lease(&key("alice"), SECOND).await.unwrap();
        next.is_some()
    })
    .await;
}

#[tokio::test]
async fn a_holder_that_is_cut_off_loses_the_lease_and_cannot_overwrite_the_next_token() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let behind = RedisTokenStore::new(config(&proxy.url()).open().unwrap(), sealing())
        .lease_time(SECOND / 2);
    let other = store(&server);
    seed(&other, "alice", "test-refresh").await;
    let found = other.load(&key("alice")).await.unwrap().unwrap();
    let lease = behind
        .lease(&key("alice"), 60 * SECOND)
        .await
        .unwrap()
        .unwrap();
    assert!(other.lease(&key("alice"), SECOND).await.unwrap().is_none());

    proxy.set(Weather::Held);
    let mut next = None;
    wait_for(async || {
        next = other.lease(&key("alice"), 60 * SECOND).await.unwrap();
        next.is_some()
    })
    .await;
    // It knows by itself, without anybody telling it.
    assert!(!lease.is_held());
    let next = next.unwrap();
    assert!(next.fence() > lease.fence());
    proxy.set(Weather::Fair);

    let stale = Token::new("test-stale");
    let save = Save::new(&stale, now())
        .expecting(Expected::Revision(found.revision))
        .under(&lease);
    wait_for(async || {
        let error = behind.save(&key("alice"), save).await.unwrap_err();
        error.kind() == StoreErrorKind::LeaseLost
    })
    .await;
    let fresh = Token::new("test-fresh");
    let save = Save::new(&fresh, now())
        .expecting(Expected::Revision(found.revision))
        .under(&next);
    assert!(matches!(
        other.save(&key("alice"), save).await,
        Ok(Saved::Stored(_))
    ));
    // Giving back what is lost leaves the present one alone.
    behind.release(&key("alice"), lease).await.unwrap();
    assert!(next.is_held());
    assert!(behind.lease(&key("alice"), SECOND).await.unwrap().is_none());
}

#[tokio::test]
async fn fences_grow_even_past_a_flush() {
    let server = RedisServer::start();
    let store = store(&server);
    let lease = store.lease(&key("alice"), SECOND).await.unwrap().unwrap();
    let fence = lease.fence();
    server.command(&["FLUSHALL"]);
    let next = store.lease(&key("alice"), SECOND).await.unwrap().unwrap();
    assert!(next.fence() > fence);
    let token = Token::new("test-late");
    let late = Save::new(&token, now()).under(&lease);
    let error = store.save(&key("alice"), late).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::LeaseLost);
}

#[tokio::test]
async fn whoever_waits_is_told_of_saves_deletions_and_leases_given_back() {
    let mut server = RedisServer::start();
    let (one, other) = (store(&server), store(&server));
    let told = async |changes: &mut mcp_auth::Changes| {
        tokio::time::timeout(DEADLINE, changes.next())
            .await
            .unwrap();
    };
    let key = key("alice");
    let mut changes = one.changes(&key).await;
    assert!(changes.are_told());
    // That the subscription is there.
    told(&mut changes).await;
    seed(&other, "alice", "test-refresh").await;
    told(&mut changes).await;
    let lease = other.lease(&key, SECOND).await.unwrap().unwrap();
    other.release(&key, lease).await.unwrap();
    told(&mut changes).await;
    other.delete(&key).await.unwrap();
    told(&mut changes).await;
    // After a time without, everybody looks again.
    server.restart();
    told(&mut changes).await;
    wait_for(async || other.load(&key).await.is_ok()).await;
    seed(&other, "alice", "test-refresh").await;
    told(&mut changes).await;
}

#[tokio::test]
async fn waiting_for_another_replica_asks_redis_a_few_times_only() {
    let server = RedisServer::start();
    let (one, other) = (store(&server), store(&server));
    seed(&one, "alice", "test-refresh-0").await;
    let lease = one
        .lease(&key("alice"), 60 * SECOND)
        .await
        .unwrap()
        .unwrap();
    let loser = replica(&other, mcp_auth::testing::ScriptedSource::new(), "alice");
    let asking = tokio::spawn(async move { ask(&loser).await });
    // It listens, and has looked once more since.
    let listens = || server.command(&["PUBSUB", "NUMSUB", "mcp:tokens"]);
    wait_for(async || listens().ends_with("\n1")).await;
    let looks = || {
        let calls = server.calls();
        let found = calls.iter().find(|(name, _)| name == "get");
        found.map_or(0, |(_, count)| *count)
    };
    let before = looks();
    let token = Token::new("test-winner").expires_in(600 * SECOND);
    let save = Save::new(&token, now()).under(&lease);
    one.save(&key("alice"), save).await.unwrap();
    let found = asking.await.unwrap().unwrap();
    assert_eq!(text(&found), "Bearer test-winner");
    let made = looks() - before;
    assert!(made <= 4, "{made}");
}

/// Tells this binary, started by itself, where to work.
const REDIS: &str = "MCP_REDIS_TEST_URL";
const ISSUER: &str = "MCP_REDIS_TEST_ISSUER";
const KILLS: u32 = 40;
const WORKERS: usize = 4;
const LIFE: Duration = Duration::from_millis(100);

/// An issuer whose refresh tokens work once, in this process, for workers in others. It gives the
/// same answer again to the last refresh token until the next is used, as issuers do for clients that
/// lost an answer: a holder that is killed between the answer and the store has lost it.
#[derive(Default)]
struct Issuer {
    latest: u64,
    used: bool,
    repeats: u32,
    reuses: u32,
    failures: Vec<String>,
}

impl Issuer {
    fn hear(&mut self, line: &str) -> String {
        let Some(shown) = line.strip_prefix("refresh ") else {
            self.failures.push(line.to_owned());
            return String::new();
        };
        let shown: u64 = shown.parse().unwrap();
        if shown == self.latest {
            self.latest += 1;
            self.used = false;
        } else if shown + 1 == self.latest && !self.used {
            self.repeats += 1;
        } else {
            self.reuses += 1;
            return "gone".to_owned();
        }
        self.latest.to_string()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_that_are_killed_at_any_moment_lose_no_login() {
    use std::sync::Mutex;
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

    let server = RedisServer::start();
    seed(&store(&server), "alice", "0").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let issuer = Arc::new(Mutex::new(Issuer::default()));
    let serving = {
        let issuer = Arc::clone(&issuer);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let issuer = Arc::clone(&issuer);
                tokio::spawn(async move {
                    let (from, mut to) = stream.into_split();
                    let mut lines = BufReader::new(from).lines();
                    while let Ok(Some(line)) = lines.next_line().await {
                        // Long enough for a kill to fall into it.
                        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..40))).await;
                        let answer = issuer.lock().unwrap().hear(&line);
                        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..40))).await;
                        let _killed = to.write_all(format!("{answer}\n").as_bytes()).await;
                    }
                });
            }
        })
    };
    let mut workers: Vec<_> = (0..WORKERS).map(|_| start(&server, port)).collect();
    let count = || issuer.lock().unwrap().latest;
    for _ in 0..KILLS {
        // Somebody gets on, then somebody dies at a moment that nobody chose.
        let before = count();
        wait_for(async || count() > before).await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..100))).await;
        let unlucky = fastrand::usize(0..WORKERS);
        workers[unlucky] = start(&server, port);
    }
    let before = count();
    wait_for(async || count() > before + 2).await;
    drop(workers);
    serving.abort();
    let issuer = issuer.lock().unwrap();
    let Issuer {
        latest,
        repeats,
        reuses,
        failures,
        ..
    } = &*issuer;
    println!("{latest} refreshes, {KILLS} kills, {repeats} answers given again");
    assert_eq!((*reuses, failures), (0, &Vec::new()));
    assert!(*repeats <= KILLS, "{repeats}");
}

/// Not a test of its own: what the processes run, until they are killed.
#[tokio::test]
#[ignore = "run by another test, in processes of its own"]
async fn worker() {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::sync::Mutex;

    let (Ok(url), Ok(port)) = (std::env::var(REDIS), std::env::var(ISSUER)) else {
        return;
    };
    let stream = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let issuer = Arc::new(Mutex::new(BufReader::new(stream)));
    let tell = move |line: String| {
        let issuer = Arc::clone(&issuer);
        tokio::task::spawn_blocking(move || {
            let mut issuer = issuer.lock().unwrap();
            issuer
                .get_mut()
                .write_all(format!("{line}\n").as_bytes())
                .unwrap();
            let mut answer = String::new();
            // The parent has gone: so does this.
            if issuer.read_line(&mut answer).unwrap_or_default() == 0 {
                std::process::exit(0);
            }
            answer.trim().to_owned()
        })
    };
    let store =
        RedisTokenStore::new(config(&url).open().unwrap(), sealing()).lease_time(SECOND / 2);
    let asked = tell.clone();
    let source = move |context: mcp_auth::TokenContext| {
        use mcp_auth::ExposeSecret as _;
        let previous = context.previous.unwrap();
        let shown = previous.refresh_token().unwrap().expose_secret().to_owned();
        let answer = asked(format!("refresh {shown}"));
        async move {
            let answer = answer.await.unwrap();
            if answer == "gone" {
                let required = mcp_auth::AuthorizationRequired::new();
                return Err(CredentialError::needs_authorization(required));
            }
            Ok(Token::new(format!("test-access-{answer}"))
                .with_refresh_token(answer)
                .expires_in(LIFE))
        }
    };
    let provider = replica(&store, source, "alice");
    loop {
        // What is late on a busy machine is asked for again; a login that is lost is told.
        if let Err(error) = ask(&provider).await
            && !error.is_transient()
        {
            tell(format!("failed: {error:?}")).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

fn start(server: &RedisServer, issuer: u16) -> Worker {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "leases::worker", "--ignored"])
        .env(REDIS, server.url())
        .env(ISSUER, issuer.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    Worker(child.unwrap())
}

/// Ends with the test.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
