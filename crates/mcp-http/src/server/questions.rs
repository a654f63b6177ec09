//! Questions of the server's that are open while what it says is read on: it may ping meanwhile, and
//! wants an answer promptly (2025-11-25, basic/utilities/ping).

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// Questions on one stream that may be open at once; one more is refused.
const AT_ONCE: usize = 16;

/// How long answers in the making are waited for when nothing else is.
const MOMENT: Duration = Duration::from_millis(500);

/// Answers in the making. They go on while somebody waits [beside](Self::beside) them; dropping this
/// leaves them unsaid.
#[derive(Default)]
pub(super) struct Questions<'a>(Vec<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>);

impl<'a> Questions<'a> {
    /// Whether one more is too many.
    pub(super) fn are_too_many(&self) -> bool {
        self.0.len() >= AT_ONCE
    }

    /// Begins to answer one, as soon as somebody waits.
    pub(super) fn answer(&mut self, answering: impl Future<Output = ()> + Send + 'a) {
        self.0.push(Box::pin(answering));
    }

    /// Waits for something else.
    pub(super) async fn beside<T>(&mut self, waiting: impl Future<Output = T>) -> T {
        let mut waiting = pin!(waiting);
        poll_fn(|context| {
            let _ = self.poll(context);
            waiting.as_mut().poll(context)
        })
        .await
    }

    /// Waits a moment until all are answered. The server went on without the others, and what it said
    /// meanwhile is not to be lost to a user who thinks.
    pub(super) async fn finish(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let answered = poll_fn(|context| self.poll(context));
        let _ = tokio::time::timeout(MOMENT, answered).await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0
            .retain_mut(|answering| answering.as_mut().poll(context).is_pending());
        if self.0.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}
