//! The replicas: started, listened to, killed, started anew.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use mcp_harness::process::this_program;
use mcp_toolkit::auth::time::Instant;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::Options;
use super::setting::Setting;

/// Failures that are repeated in the report.
const SHOWN: usize = 20;
/// A replica on a machine that does everything else as well.
const ANSWER: Duration = Duration::from_secs(30);

pub(super) struct Fleet {
    arguments: Vec<String>,
    replicas: Vec<Replica>,
    board: Arc<Board>,
}

struct Replica {
    child: Child,
    input: ChildStdin,
    heard: JoinHandle<()>,
}

/// What the replicas said.
#[derive(Debug, Default)]
struct Board {
    said: Mutex<Said>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Said {
    totals: Totals,
    /// How many replicas keep the tools of a user.
    keep: HashMap<usize, usize>,
    /// When they forgot them, in microseconds of calendar time, in the order of hearing.
    forgot: HashMap<usize, Vec<u128>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) calls: u64,
    pub(super) failed: u64,
    pub(super) slowest_us: u64,
    pub(super) failures: Vec<String>,
}

impl Fleet {
    pub(super) async fn start(setting: &Setting, options: &Options) -> Result<Self> {
        let text = |number: usize| number.to_string();
        let mut fleet = Self {
            arguments: vec![
                "replica".to_owned(),
                setting.redis.url(),
                setting.issuer.url(),
                text(options.callers),
                text(options.users),
            ],
            replicas: Vec::new(),
            board: Arc::default(),
        };
        for _ in 0..options.processes {
            let replica = fleet.replica()?;
            fleet.replicas.push(replica);
        }
        let all = options.processes * options.callers;
        let calls = u64::try_from(all)?;
        fleet
            .until("the first calls", |said| said.totals.calls >= calls)
            .await?;
        Ok(fleet)
    }

    fn replica(&self) -> Result<Replica> {
        let mut child = Command::new(this_program()?)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().context("no input")?;
        let output = child.stdout.take().context("no output")?;
        let board = Arc::clone(&self.board);
        let heard = tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            let mut before = Totals::default();
            while let Ok(Some(line)) = lines.next_line().await {
                board.lock().hear(&line, &mut before);
                board.news.notify_waiters();
            }
        });
        Ok(Replica {
            child,
            input,
            heard,
        })
    }

    /// Ends one at random, as a crash would, and starts another in its place.
    pub(super) async fn kill_one(&mut self) -> Result<()> {
        let next = self.replica()?;
        let place = fastrand::usize(..self.replicas.len());
        let Some(replica) = self.replicas.get_mut(place) else {
            bail!("there are no replicas");
        };
        let mut dead = std::mem::replace(replica, next);
        dead.child.kill().await?;
        dead.heard.await?;
        Ok(())
    }

    pub(super) fn totals(&self) -> Totals {
        self.board.lock().totals.clone()
    }

    /// Lets every replica keep the tools of some users and say when it forgets them.
    pub(super) async fn listen(&mut self, users: usize) -> Result<()> {
        for replica in &mut self.replicas {
            replica.input.write_all(b"listen\n").await?;
        }
        for user in 0..users {
            self.until_all_keep(user).await?;
        }
        Ok(())
    }

    async fn until_all_keep(&self, user: usize) -> Result<()> {
        let all = self.replicas.len();
        self.until("tools are kept", |said| said.keep.get(&user) == Some(&all))
            .await
    }

    /// When each replica forgot the tools of the user, after `act`; then waits until all keep them
    /// again.
    pub(super) async fn forgotten(&self, user: usize, act: impl FnOnce()) -> Result<Vec<u128>> {
        let all = self.replicas.len();
        self.board.lock().forgot.remove(&user);
        act();
        self.until("tools are forgotten", |said| {
            said.forgot.get(&user).is_some_and(|it| it.len() >= all)
        })
        .await?;
        let times = self.board.lock().forgot.remove(&user);
        self.until_all_keep(user).await?;
        Ok(times.unwrap_or_default())
    }

    async fn until(&self, what: &str, so: impl Fn(&Said) -> bool) -> Result<()> {
        let end = Instant::now() + ANSWER;
        loop {
            let news = self.board.news.notified();
            if so(&self.board.lock()) {
                return Ok(());
            }
            if tokio::time::timeout_at(end, news).await.is_err() {
                let failures = self.totals().failures;
                bail!("{what}: not after {ANSWER:?}; {failures:?}");
            }
        }
    }

    pub(super) async fn end(self) -> Totals {
        for replica in self.replicas {
            drop(replica.input);
            let mut child = replica.child;
            let _ = child.wait().await;
            let _ = replica.heard.await;
        }
        self.board.lock().totals.clone()
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    /// A replica counts from its start: `before` is what it had said when it was heard last.
    fn hear(&mut self, line: &str, before: &mut Totals) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut numbers = rest.split(' ').map(|number| number.parse().unwrap_or(0));
        let mut number = || numbers.next().unwrap_or(0);
        match word {
            "counts" => {
                let (calls, failed, slowest) = (number(), number(), number());
                self.totals.calls += calls - before.calls;
                self.totals.failed += failed - before.failed;
                self.totals.slowest_us = self.totals.slowest_us.max(slowest);
                (before.calls, before.failed) = (calls, failed);
            }
            "failed" if self.totals.failures.len() < SHOWN => {
                self.totals.failures.push(rest.to_owned());
            }
            "keeps" => {
                let user = usize::try_from(number()).unwrap_or(usize::MAX);
                *self.keep.entry(user).or_default() += 1;
            }
            "forgot" => {
                let user = usize::try_from(number()).unwrap_or(usize::MAX);
                if let Some(keep) = self.keep.get_mut(&user) {
                    *keep = keep.saturating_sub(1);
                }
                self.forgot.entry(user).or_default().push(number().into());
            }
            _ => {}
        }
    }
}
