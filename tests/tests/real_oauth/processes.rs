//! Processes that share a store, against an issuer whose refresh tokens work once.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mcp_auth::FileStore;
use mcp_auth::time::{Clock, Instant, SystemClock};
use mcp_oauth::SealedStore;
use mcp_testbed::real::{FastMcpOAuthServer, OidcProvider};
use serde_json::json;

use super::{Browser, HttpUrl, OAuth, REDIRECT, alice, call, id, server, stats};

/// Tells this binary, started by itself, what to do.
const WORK: &str = "MCP_OAUTH_TEST_WORK";
const PROCESSES: usize = 2;
const ROUNDS: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test]
async fn two_processes_refresh_once_between_them() {
    let provider = OidcProvider::start();
    let mcp = FastMcpOAuthServer::start(&provider);
    let directory = tempfile::tempdir().unwrap();
    let login = builder(&mcp.url(), &provider.issuer(), directory.path());
    let browser = Browser {
        user: "alice".to_owned(),
    };
    let login = login.handler(browser).build();
    let mut last = call(&server(&mcp.url(), &login), &alice(), "token_id")
        .await
        .unwrap();
    for round in 1..=ROUNDS {
        let work = |worker: usize| {
            json!({
                "url": mcp.url(),
                "issuer": provider.issuer(),
                "directory": directory.path(),
                "round": round,
                "result": directory.path().join(format!("result-{round}-{worker}")),
            })
        };
        let workers: Vec<_> = (0..PROCESSES)
            .map(|it| start(&work(it).to_string()))
            .collect();
        for mut worker in workers {
            let ended = async {
                while worker.0.try_wait().unwrap().is_none() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(PATIENCE, ended).await.unwrap();
            assert!(worker.0.wait().unwrap().success());
        }
        let mut seen = (0..PROCESSES).map(|worker| {
            let path = directory.path().join(format!("result-{round}-{worker}"));
            std::fs::read_to_string(path).unwrap()
        });
        let first = seen.next().unwrap();
        assert!(seen.all(|other| other == first));
        assert_ne!(first, last, "the token was not refreshed");
        last = first;
        let stats = stats(&provider).await;
        assert_eq!(stats["success"]["refresh_token"], round, "{stats}");
        assert_eq!(stats["error"], json!({}), "{}", provider.output());
    }
}

/// Not a test of its own: what the processes run.
#[tokio::test]
#[ignore = "run by the other test, in processes of its own"]
async fn worker() {
    let Ok(work) = std::env::var(WORK) else {
        return;
    };
    let work: serde_json::Value = serde_json::from_str(&work).unwrap();
    let text = |name: &str| work[name].as_str().unwrap().to_owned();
    // In each round two more hours are over, so that the token of the round before has ended.
    let hours = work["round"].as_u64().unwrap() * 2;
    let clock = Ahead(Duration::from_secs(hours * 3600));
    let oauth = builder(
        &text("url"),
        &text("issuer"),
        &PathBuf::from(text("directory")),
    );
    let oauth = oauth.clock(Arc::new(clock)).build();
    let server = server(&text("url"), &oauth);
    let seen = call(&server, &alice(), "token_id").await.unwrap();
    std::fs::write(text("result"), seen).unwrap();
}

fn builder(url: &str, issuer: &str, directory: &Path) -> mcp_oauth::OAuthBuilder {
    let store = FileStore::new(directory.join("store")).unwrap();
    let key = "test-key-0123456789-0123456789-0123456789".into();
    let sealed = SealedStore::new(Arc::new(store), &key).unwrap();
    OAuth::builder(id(), HttpUrl::parse(url).unwrap())
        .redirect_uri(REDIRECT)
        .issuer(issuer)
        .store(Arc::new(sealed))
}

/// The machine's clock, with the calendar ahead.
#[derive(Debug)]
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> SystemTime {
        SystemClock.wall() + self.0
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        SystemClock.sleep_until(deadline)
    }
}

struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _status = self.0.wait();
    }
}

fn start(work: &str) -> Worker {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::worker", "--ignored"])
        .env(WORK, work)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    Worker(child.unwrap())
}
