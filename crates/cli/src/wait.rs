//! A spinner while a person waits.

use std::pin::pin;
use std::time::Duration;

use indicatif::ProgressBar;

use crate::terminal::Look;

/// Waits shorter than this show nothing.
const PATIENCE: Duration = Duration::from_millis(300);
/// One step of the spinner.
const STEP: Duration = Duration::from_millis(100);

/// Awaits a future; on a terminal, a long wait shows a spinner that says what is going on.
pub(crate) async fn with_spinner<T>(message: &str, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    if !Look::of_stderr().terminal {
        return future.await;
    }
    if let Ok(outcome) = tokio::time::timeout(PATIENCE, &mut future).await {
        return outcome;
    }
    // Drawn on standard error, and cleared when it goes, also when the wait is given up.
    let spinner = Spinner(ProgressBar::new_spinner().with_message(message.to_owned()));
    spinner.0.enable_steady_tick(STEP);
    future.await
}

struct Spinner(ProgressBar);

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
