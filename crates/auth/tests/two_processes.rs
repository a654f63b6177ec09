//! Processes on one file store against an issuer whose refresh tokens work once: one refresh
//! between them, and a holder that is killed holds nobody up.

#![cfg(unix)]
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be; its processes talk by printing"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use mcp_auth::{
    AuthorizationRequired, CredentialError, CredentialProvider, CredentialRequest, Expiry,
    ExposeSecret, FileStore, Principal, RefreshingToken, Save, ServerId, Token, TokenContext,
    TokenKey, TokenStore,
};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Tells this binary, started by itself, which directory to work in.
const DIRECTORY: &str = "MCP_AUTH_TEST_DIRECTORY";
const WORKER: &str = "MCP_AUTH_TEST_WORKER";
const WORKERS: usize = 4;
const DEADLINE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn processes_on_one_store_refresh_once_between_them() {
    for _ in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        seed(directory.path()).await;
        let mut workers: Vec<_> = (0..WORKERS)
            .map(|worker| Worker::start(directory.path(), &worker.to_string()))
            .collect();
        for worker in &mut workers {
            worker.says("started").await;
        }
        // The issuer answers only now that all have begun, so that they do race.
        for worker in &mut workers {
            worker.go_on();
        }
        for worker in workers {
            worker.ends_well().await;
        }
        for worker in 0..WORKERS {
            let result = directory.path().join(format!("result-{worker}"));
            assert_eq!(fs::read_to_string(result).unwrap(), "Bearer test-access-1");
        }
        assert!(!directory.path().join("reused").exists());
        assert!(directory.path().join("refresh-1").exists());
        assert!(!directory.path().join("refresh-2").exists());
    }
}

#[tokio::test]
async fn a_holder_that_is_killed_holds_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    seed(directory.path()).await;
    let mut hung = Worker::start(directory.path(), "hang");
    hung.says("hanging").await;
    let ours = tokio::spawn(ask(directory.path().to_owned(), "ours".to_owned()));
    tokio::task::yield_now().await;
    hung.child.kill().await.unwrap();
    let found = timeout(DEADLINE, ours).await.unwrap().unwrap();
    assert_eq!(found.unwrap(), "Bearer test-access-1");
    assert!(!directory.path().join("reused").exists());
}

/// Not a test of its own: what the processes run.
#[tokio::test]
#[ignore = "run by the other tests, in processes of its own"]
async fn worker() {
    let (Ok(directory), Ok(name)) = (std::env::var(DIRECTORY), std::env::var(WORKER)) else {
        return;
    };
    let directory = PathBuf::from(directory);
    println!("\nstarted");
    let found = ask(directory.clone(), name.clone()).await.unwrap();
    fs::write(directory.join(format!("result-{name}")), found).unwrap();
}

/// A store with a token that has ended, and the refresh token that buys the next.
async fn seed(directory: &Path) {
    let store = FileStore::new(directory.join("store")).unwrap();
    let token = Token::new("test-access-0")
        .with_refresh_token("0")
        .with_expiry(Expiry::At(UNIX_EPOCH));
    store
        .save(&key(), Save::new(&token, UNIX_EPOCH))
        .await
        .unwrap();
    fs::write(directory.join("refresh-0"), "").unwrap();
}

async fn ask(directory: PathBuf, name: String) -> Result<String, CredentialError> {
    let store = FileStore::new(directory.join("store"))?;
    let provider = RefreshingToken::new(move |context: TokenContext| {
        let (directory, name) = (directory.clone(), name.clone());
        async move { exchange(&directory, &name, &context).await }
    })
    .store(Arc::new(store), key());
    let (server, alice) = (ServerId::new("server").unwrap(), Principal::local());
    let request = CredentialRequest::new(&server, &alice);
    let credentials = provider.credentials(request).await?;
    Ok(credentials.headers()[0].1.to_str().unwrap().to_owned())
}

/// The issuer: a refresh token is a file, and using it moves the file away, which works once.
async fn exchange(
    directory: &Path,
    name: &str,
    context: &TokenContext,
) -> Result<Token, CredentialError> {
    if name == "hang" {
        println!("\nhanging");
        return std::future::pending().await;
    }
    if name != "ours" {
        let mut nothing = Vec::new();
        tokio::io::stdin().read_to_end(&mut nothing).await.unwrap();
    }
    let previous = context.previous.as_ref().and_then(Token::refresh_token);
    let number: u64 = previous.unwrap().expose_secret().parse().unwrap();
    let token = |number| directory.join(format!("refresh-{number}"));
    if fs::rename(token(number), directory.join(format!("used-{number}"))).is_err() {
        fs::write(directory.join("reused"), "").unwrap();
        return Err(CredentialError::needs_authorization(
            AuthorizationRequired::new(),
        ));
    }
    let next = number + 1;
    fs::write(token(next), "").unwrap();
    Ok(Token::new(format!("test-access-{next}"))
        .with_refresh_token(next.to_string())
        .expires_in(Duration::from_secs(3600)))
}

fn key() -> TokenKey {
    TokenKey::new(ServerId::new("server").unwrap(), Principal::local())
}

/// A process of its own, which ends with the test.
struct Worker {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(directory: &Path, name: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory)
            .env(WORKER, name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = child.unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits until it says so.
    async fn says(&mut self, what: &str) {
        let heard = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line == what {
                    return;
                }
            }
            panic!("it ended before it said `{what}`");
        };
        timeout(DEADLINE, heard).await.unwrap();
    }

    /// Its issuer answers.
    fn go_on(&mut self) {
        self.child.stdin.take();
    }

    async fn ends_well(mut self) {
        let ended = async {
            // Whatever else it says, so that it is not held up.
            while self.lines.next_line().await.unwrap().is_some() {}
            self.child.wait().await.unwrap()
        };
        assert!(timeout(DEADLINE, ended).await.unwrap().success());
    }
}
