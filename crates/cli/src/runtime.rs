//! Where futures run, and what stops them.

use std::time::Duration;

use mcp_core::Error;
use tokio::runtime::{Builder, Runtime};

/// What is still running in the background when the work is done (a name being looked up) is not
/// waited for any longer than this.
const FAREWELL: Duration = Duration::from_millis(100);

/// Runs work to its end, or until the user interrupts it. One thread is enough for few calls, and
/// starts faster.
pub(crate) fn run<T>(
    concurrency: usize,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let runtime = runtime(concurrency)
        .map_err(|error| Error::config_because("the runtime cannot start", error))?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased;
            outcome = work => outcome,
            () = interrupted() => Err(Error::cancelled()),
        }
    });
    runtime.shutdown_timeout(FAREWELL);
    outcome
}

fn runtime(concurrency: usize) -> std::io::Result<Runtime> {
    if concurrency <= 1 {
        return Builder::new_current_thread().enable_all().build();
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .worker_threads(concurrency.min(cores))
        .enable_all()
        .build()
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
