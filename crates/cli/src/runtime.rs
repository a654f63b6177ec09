//! Where futures run, and what stops them.

use std::pin::pin;
use std::time::Duration;

use mcp_adapter::ToolSet;
use mcp_core::{Error, Limits};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// What is still running in the background when the work is done (a name being looked up) is not
/// waited for any longer than this.
const REST: Duration = Duration::from_millis(100);

/// Where the work of one command runs.
#[derive(Debug)]
pub(crate) struct Work(Runtime);

impl Work {
    /// One thread is enough for few calls at a time, and starts faster.
    pub(crate) fn new(concurrency: usize) -> Result<Self, Error> {
        let runtime = if concurrency <= 1 {
            Builder::new_current_thread().enable_all().build()
        } else {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            Builder::new_multi_thread()
                .worker_threads(concurrency.min(cores))
                .enable_all()
                .build()
        };
        let started = runtime.map(Self);
        started.map_err(|error| Error::config_because("the runtime cannot start", error))
    }

    /// Runs work to its end, or until the user interrupts it.
    pub(crate) fn run<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.0.block_on(async {
            tokio::select! {
                biased;
                outcome = work => outcome,
                () = interrupted() => Err(Error::cancelled()),
            }
        })
    }

    /// Runs work to its end. Where the user interrupts it, it is told, and brings itself to an end; a
    /// second time it is left as it is.
    pub(crate) fn run_told<T, F>(
        &self,
        work: impl FnOnce(CancellationToken) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.0.block_on(async {
            let told = CancellationToken::new();
            let mut work = pin!(work(told.clone()));
            tokio::select! {
                biased;
                outcome = &mut work => return outcome,
                () = interrupted() => told.cancel(),
            }
            tokio::select! {
                biased;
                outcome = work => outcome,
                () = interrupted() => Err(Error::cancelled()),
            }
        })
    }

    /// Says goodbye to servers, after everything has been printed: sessions are ended, and children
    /// get the time to leave by themselves. Then nothing is left.
    pub(crate) fn end<'t>(self, tools: impl IntoIterator<Item = &'t ToolSet>) {
        let time = Limits::default().close_timeout;
        let farewells: Vec<_> = tools.into_iter().map(|tools| tools.close(time)).collect();
        if !farewells.is_empty() {
            let said = self.run(async {
                futures_util::future::join_all(farewells).await;
                Ok(())
            });
            drop(said);
        }
        self.0.shutdown_timeout(REST);
    }
}

/// Ends when the user or the system asks the process to end.
#[cfg(unix)]
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};

    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    );
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else {
        // The default action stays: the process ends at once.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

#[cfg(not(unix))]
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
