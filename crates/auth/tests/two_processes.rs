//! Processes on one file store against an issuer whose refresh tokens work once: one refresh
//! between them, and a holder that is killed holds nobody up.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use mcp_auth::{
    AuthorizationRequired, CredentialError, CredentialProvider, CredentialRequest, Expiry,
    ExposeSecret, FileStore, Principal, RefreshingToken, Save, ServerId, Token, TokenContext,
    TokenKey, TokenStore,
};

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
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| start(directory.path(), &worker.to_string()))
            .collect();
        for mut worker in workers {
            wait_for(|| worker.0.try_wait().unwrap().is_some()).await;
            assert!(worker.0.wait().unwrap().success());
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
    let mut hung = start(directory.path(), "hang");
    wait_for(|| directory.path().join("hanging").exists()).await;
    let ours = tokio::spawn(ask(directory.path().to_owned(), "ours".to_owned()));
    tokio::task::yield_now().await;
    hung.0.kill().unwrap();
    hung.0.wait().unwrap();
    let found = tokio::time::timeout(DEADLINE, ours).await.unwrap().unwrap();
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
    fs::write(directory.join(format!("started-{name}")), "").unwrap();
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
        fs::write(directory.join("hanging"), "").unwrap();
        return std::future::pending().await;
    }
    if name != "ours" {
        // Answers only when all have begun, so that they do race.
        let started = |worker| directory.join(format!("started-{worker}")).exists();
        wait_for(|| (0..WORKERS).all(started)).await;
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

fn start(directory: &Path, name: &str) -> Worker {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "worker", "--ignored"])
        .env(DIRECTORY, directory)
        .env(WORKER, name)
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

/// Other processes send no event: looks until it is so.
async fn wait_for(mut so: impl FnMut() -> bool) {
    let looking = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.unwrap();
}
