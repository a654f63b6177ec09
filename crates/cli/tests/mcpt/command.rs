//! Runs `mcpt` as a shell would, with an environment of its own.
#![expect(
    clippy::panic,
    reason = "what fails here fails the test that asked for it"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mcp_testbed::embedded::EmbeddedServer;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// Far longer than any of it takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A folder to work in, and variables to see.
pub(crate) struct Shell {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Shell {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        }
    }

    /// A server whose tokens outlive every test, and a shell with `TOKEN_<user>` for each user.
    pub(crate) async fn with_server(users: &[&str]) -> (EmbeddedServer, Self) {
        let server = EmbeddedServer::start(Duration::from_secs(600))
            .await
            .unwrap();
        let mut shell = Self::new();
        for user in users {
            let token = server.tokens().issue(user).access;
            shell = shell.var(&format!("TOKEN_{user}"), &token);
        }
        (server, shell)
    }

    pub(crate) fn var(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    pub(crate) async fn run(&self, words: &[&str]) -> Ran {
        self.run_with_input(words, "").await
    }

    pub(crate) async fn run_with_input(&self, words: &[&str], input: &str) -> Ran {
        let mut child = self.start(words);
        let mut stdin = child.stdin.take().unwrap();
        // It may end without having read anything.
        let _unread = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        finish(child).await
    }

    pub(crate) fn start(&self, words: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_mcpt"))
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// A file that is written to by a program and read here, where the one waits for the other.
    pub(crate) fn pipe(&self, name: &str) -> Pipe {
        let path = self.folder.path().join(name);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        Pipe(path)
    }
}

/// Where a program tells something.
pub(crate) struct Pipe(PathBuf);

impl Pipe {
    /// What is told, once it is.
    pub(crate) async fn line(self) -> String {
        let path = self.0.clone();
        let reading = tokio::task::spawn_blocking(|| std::fs::read_to_string(path));
        let told = tokio::time::timeout(DEADLINE, reading).await;
        if told.is_err() {
            // Somebody has to write, or the reader waits for ever.
            let _released = std::fs::write(&self.0, "");
        }
        let line = told.expect("something is told").unwrap().unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

/// Waits until it has ended.
pub(crate) async fn finish(child: Child) -> Ran {
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await;
    let output = output.expect("it ends").unwrap();
    Ran {
        code: output.status.code().expect("it is not killed"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    /// The one document on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in {:?}; {}", self.stdout, self.stderr))
    }

    pub(crate) fn kind(&self) -> String {
        let document = self.json();
        let first = &document["servers"][0]["error"];
        let error = if first.is_object() {
            first
        } else {
            &document["error"]
        };
        error["kind"].as_str().unwrap_or_default().to_owned()
    }

    /// Fails if any of this came out.
    pub(crate) fn shows_nothing_of(&self, secret: &str) {
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{secret} on {name}: {line:?}");
        }
    }
}

/// The words that make the server of this package a child: this test program, which then runs
/// nothing but [`child`].
pub(crate) fn child_command() -> Vec<String> {
    let program = std::env::current_exe().unwrap();
    let words = [
        program.to_str().unwrap(),
        "--exact",
        "command::child",
        "--ignored",
        "--nocapture",
    ];
    words.map(str::to_owned).to_vec()
}

/// Not a test of anything: the child of other tests.
#[tokio::test]
#[ignore = "a server that other tests start"]
async fn child() {
    mcp_testbed::embedded::serve_stdio().await.unwrap();
}
