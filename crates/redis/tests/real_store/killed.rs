//! Holders of leases that are killed at any moment: processes of their own, so that nothing of them
//! can tidy up.

use std::io::{self, BufRead as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use mcp_auth::{AuthorizationRequired, ExposeSecret as _, TokenContext};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::*;

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
    let (Ok(url), Ok(port)) = (std::env::var(REDIS), std::env::var(ISSUER)) else {
        return;
    };
    let stream = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let issuer = Arc::new(Mutex::new(io::BufReader::new(stream)));
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
    let source = move |context: TokenContext| {
        let previous = context.previous.unwrap();
        let shown = previous.refresh_token().unwrap().expose_secret().to_owned();
        let answer = asked(format!("refresh {shown}"));
        async move {
            let answer = answer.await.unwrap();
            if answer == "gone" {
                let required = AuthorizationRequired::new();
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
        .args(["--exact", "killed::worker", "--ignored"])
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
