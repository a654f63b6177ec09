//! One child as its callers see it.

mod lease;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_auth::time::Instant;
use mcp_auth::{Fingerprint, Principal};
use mcp_core::duplex::{Duplex, Settings};
use mcp_core::{Error, Failure};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::ChildStdin;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use self::lease::Lease;
use crate::environment::Resolved;
use crate::lines::Splitter;
use crate::outbox::{Outbox, StdioChannel};
use crate::places::Departure;
use crate::restart::Crash;
use crate::secrets::Secrets;
use crate::tail::{NotReady, Tail};
use crate::tools::Listed;

/// The longest line of standard error that is told to a handler whole.
const MAX_STDERR_LINE: usize = 16 * 1024;

/// Hears each line of a child's standard error.
pub(crate) type StderrHandler = dyn Fn(&Principal, &str) + Send + Sync;

/// A running child, or one that has ended.
pub(crate) struct Connection {
    pub(crate) principal: Principal,
    pub(crate) duplex: Duplex,
    pub(crate) outbox: Arc<Outbox>,
    /// Ends the child, whoever uses it.
    pub(crate) stop: CancellationToken,
    /// The child is gone, reaped, its group too.
    pub(crate) finished: CancellationToken,
    /// Of everything that was named for its environment.
    pub(crate) fingerprint: Fingerprint,
    /// Of what the providers gave.
    pub(crate) credentials: Vec<Fingerprint>,
    /// What the principal's tools were when they were last listed.
    pub(crate) listed: Arc<Listed>,
    /// And what they were when this child was started.
    pub(crate) listed_before: Option<Fingerprint>,
    pid: Option<u32>,
    departure: Arc<Departure>,
    secrets: Secrets,
    phase: watch::Sender<Phase>,
    users: Mutex<Users>,
    released: Notify,
    written: Mutex<Written>,
}

/// How far it has come.
enum Phase {
    Starting,
    Ready(Instant),
    Gone { error: Error, crash: Option<Crash> },
}

struct Users {
    count: usize,
    last_used: Instant,
    /// When its environment was last compared with what it should be.
    checked: Instant,
    /// It ends when nobody uses it any more.
    retired: bool,
    /// It takes nobody any more.
    closing: bool,
}

/// The end of what it wrote where messages do not go.
struct Written {
    stderr: Tail,
    stray: Tail,
}

/// What is known about a child, for whoever looks for a fault.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Diagnostics {
    /// Its process id, while it runs.
    pub pid: Option<u32>,
    /// The end of its standard error, secrets replaced.
    pub stderr: String,
    /// The end of what it wrote to standard output that was no message, secrets replaced.
    pub stray_output: String,
}

impl Connection {
    pub(crate) fn new(
        principal: Principal,
        settings: Settings,
        environment: &Resolved,
        listed: Arc<Listed>,
        departure: Arc<Departure>,
        stdin: Option<ChildStdin>,
        pid: Option<u32>,
    ) -> Self {
        let secrets = environment.secrets.clone();
        let limits = &settings.limits;
        let outbox = Arc::new(Outbox::new(stdin, limits.message_bytes, secrets.clone()));
        let written = Written {
            stderr: Tail::new(limits.stderr_bytes),
            stray: Tail::new(limits.stderr_bytes),
        };
        let channel = StdioChannel(Arc::clone(&outbox));
        let now = Instant::now();
        Self {
            principal,
            duplex: Duplex::new(Box::new(channel), settings),
            outbox,
            stop: CancellationToken::new(),
            finished: CancellationToken::new(),
            fingerprint: environment.fingerprint,
            credentials: environment.credentials.clone(),
            listed_before: listed.fingerprint(),
            listed,
            pid,
            departure,
            secrets,
            phase: watch::Sender::new(Phase::Starting),
            users: Mutex::new(Users {
                count: 0,
                last_used: now,
                checked: now,
                retired: false,
                closing: false,
            }),
            released: Notify::new(),
            written: Mutex::new(written),
        }
    }

    /// A place among its users, unless it takes nobody any more.
    pub(crate) fn lease(self: &Arc<Self>) -> Option<Lease> {
        let mut users = self.users();
        if users.closing || users.retired || self.duplex.closed().is_some() {
            return None;
        }
        users.count += 1;
        users.last_used = Instant::now();
        Some(Lease(Arc::clone(self)))
    }

    /// Lets it end when its present users are done.
    pub(crate) fn retire(&self) {
        let mut users = self.users();
        users.retired = true;
        if users.count == 0 {
            self.departure.begin();
        }
        self.released.notify_one();
    }

    /// Whether it runs and nobody uses it.
    pub(crate) fn is_idle(&self) -> bool {
        let users = self.users();
        users.count == 0 && !users.retired && !users.closing
    }

    /// Whether nothing of it is left.
    pub(crate) fn is_gone(&self) -> bool {
        self.finished.is_cancelled()
    }

    pub(crate) fn checked(&self) -> Instant {
        self.users().checked
    }

    pub(crate) fn check_passed(&self) {
        self.users().checked = Instant::now();
    }

    /// Until nobody has used it for `idle`, or nobody uses it and it is retired. From then on it
    /// takes nobody.
    pub(crate) async fn until_unused(&self, idle: Option<Duration>) {
        loop {
            let due = {
                let mut users = self.users();
                let now = Instant::now();
                let since = if users.count > 0 {
                    now
                } else {
                    users.last_used
                };
                let due = idle.and_then(|idle| since.checked_add(idle));
                let idle = due.is_some_and(|due| due <= now);
                if users.count == 0 && (users.retired || idle) {
                    users.closing = true;
                    return;
                }
                due
            };
            let sleep = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.released.notified() => {}
                () = sleep => {}
            }
        }
    }

    pub(crate) fn started(&self) {
        let _ = self.phase.send_replace(Phase::Ready(Instant::now()));
    }

    /// Tells everybody that it is gone, and why. The first reason stays.
    pub(crate) fn ended(&self, error: &Error, crashed: bool) {
        self.users().closing = true;
        self.duplex.close(error);
        self.phase.send_modify(|phase| {
            let at = Instant::now();
            let lived = match phase {
                Phase::Starting => Duration::ZERO,
                Phase::Ready(since) => at.saturating_duration_since(*since),
                Phase::Gone { .. } => return,
            };
            let error = error.clone();
            let crash = crashed.then(|| Crash {
                at,
                lived,
                error: error.clone(),
            });
            *phase = Phase::Gone { error, crash };
        });
    }

    /// Waits until it has ended, and tells why.
    pub(crate) async fn end(&self) -> Error {
        let mut phase = self.phase.subscribe();
        match phase
            .wait_for(|phase| matches!(phase, Phase::Gone { .. }))
            .await
            .as_deref()
        {
            Ok(Phase::Gone { error, .. }) => error.clone(),
            _ => Error::protocol("the connection was dropped"),
        }
    }

    /// How it crashed, if it did.
    pub(crate) fn crash(&self) -> Option<Crash> {
        match &*self.phase.borrow() {
            Phase::Gone { crash, .. } => crash.clone(),
            _ => None,
        }
    }

    /// [`Failure::ServerExited`] with the end of what it wrote.
    pub(crate) fn exited(&self, status: impl Into<String>) -> Error {
        Failure::ServerExited {
            status: status.into(),
            stderr: self.last_words(),
        }
        .into()
    }

    /// The error, with the end of what it wrote if it was not ready in time.
    pub(crate) fn explain(&self, error: Error) -> Error {
        if matches!(&*self.phase.borrow(), Phase::Ready(_)) {
            return error;
        }
        let stderr = self.last_words();
        error.meanwhile(NotReady { stderr })
    }

    pub(crate) fn diagnostics(&self) -> Diagnostics {
        let written = self.written();
        Diagnostics {
            pid: self.pid.filter(|_| !self.finished.is_cancelled()),
            stderr: written.stderr.text(&self.secrets),
            stray_output: written.stray.text(&self.secrets),
        }
    }

    /// Takes a line of standard output: a message, or something to keep for diagnostics.
    pub(crate) fn take_line(&self, line: &[u8]) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        if self.duplex.deliver(line).is_err() {
            tracing::debug!(
                bytes = line.len(),
                "a line on standard output is no message"
            );
            let mut written = self.written();
            written.stray.push(line);
            written.stray.push(b"\n");
        }
    }

    /// Reads standard error to its end.
    pub(crate) async fn drain(
        &self,
        mut stderr: impl AsyncRead + Unpin,
        handler: Option<&StderrHandler>,
    ) {
        let mut buffer = vec![0; MAX_STDERR_LINE];
        let mut splitter = Splitter::default();
        let mut tell = |line: &[u8], cut: bool| self.tell(line, cut, handler);
        loop {
            let piece = match stderr.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(length) => buffer.get(..length).unwrap_or_default(),
            };
            self.written().stderr.push(piece);
            if handler.is_some() || tracing::enabled!(tracing::Level::DEBUG) {
                splitter.push(piece, MAX_STDERR_LINE, &mut tell);
            }
        }
        splitter.finish(tell);
    }

    fn tell(&self, line: &[u8], cut: bool, handler: Option<&StderrHandler>) {
        let text = String::from_utf8_lossy(line);
        let text = if cut {
            self.secrets.without_torn_end(&text)
        } else {
            &text
        };
        let text = self.secrets.redact(text.trim_end());
        tracing::debug!(line = %text.escape_debug(), "standard error");
        if let Some(handler) = handler {
            // It runs in the task that serves the child: a panic would take the child down.
            let told = catch_unwind(AssertUnwindSafe(|| handler(&self.principal, &text)));
            if told.is_err() {
                tracing::error!("a handler of standard error panicked");
            }
        }
    }

    fn last_words(&self) -> String {
        let Diagnostics {
            stderr,
            stray_output,
            ..
        } = self.diagnostics();
        match (stderr.is_empty(), stray_output.is_empty()) {
            (true, false) => format!("{stray_output} (on standard output)"),
            _ => stderr,
        }
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("pid", &self.pid)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}
