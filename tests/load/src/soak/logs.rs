//! Every log line of every crate, looked at for secrets and forgotten.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem;
use tracing_subscriber::filter::LevelFilter;

use super::world::CANARY;

/// What no line may hold.
const SECRETS: [&str; 5] = [
    CANARY,
    "test-access-",
    "test-refresh-",
    "test-code-",
    "test-client-secret",
];

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Logs(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    lines: AtomicU64,
    bytes: AtomicU64,
    secrets: AtomicU64,
}

/// Takes one line at a time.
#[derive(Debug)]
struct Scanner(Arc<Counts>, Arc<Option<String>>);

impl Logs {
    /// Looks at everything that is logged from now on, by anybody in this process, and prints what
    /// holds this text.
    pub(super) fn watch(&self, show: Option<String>) {
        let (counts, show) = (Arc::clone(&self.0), Arc::new(show));
        let watching = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || Scanner(Arc::clone(&counts), Arc::clone(&show)));
        // Where somebody else watches already, there is nothing to see here.
        let _ = watching.try_init();
    }

    pub(super) fn lines(&self) -> u64 {
        self.0.lines.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn secrets(&self) -> u64 {
        self.0.secrets.load(Ordering::Relaxed)
    }
}

impl Write for Scanner {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let counts = &self.0;
        counts.lines.fetch_add(1, Ordering::Relaxed);
        let length = u64::try_from(line.len()).unwrap_or_default();
        counts.bytes.fetch_add(length, Ordering::Relaxed);
        let holds = |secret: &str| memmem::find(line, secret.as_bytes()).is_some();
        if self.1.as_deref().is_some_and(holds) {
            eprint!("{}", String::from_utf8_lossy(line));
        }
        if SECRETS.iter().any(|secret| holds(secret))
            && counts.secrets.fetch_add(1, Ordering::Relaxed) < 5
        {
            eprintln!("A SECRET IS LOGGED: {}", String::from_utf8_lossy(line));
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
